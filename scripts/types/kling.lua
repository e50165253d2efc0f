---@meta kling
-- Written by `kling types`, which replaces an older one.
-- luacheck: ignore 212 241 631

-- What functions take.

---What every function that makes a video takes besides its fields.
---@class kling.RequestOptions
---@field extra? table Goes into the body unchecked, and overrides.
---@field take? string|number Tells equal requests apart: another take is another video, and another payment.
---@field name? string|number What you call the shot: in progress, plan, jobs and file names. Not sent; another name is no other request.
---@field retry? boolean true: send it again although it failed in an earlier run and the script went on.
---@field strict? boolean Warnings about requests are errors.
---@field lost? "ask" A lost answer stops the job at once, for you to decide.
---@field patience? number How many seconds a lost answer is looked for.
---@field poll? number Seconds between two queries of the job.

---Settings of configure and client.
---@class kling.Options
---@field key? string The API key.
---@field base_url? string The service.
---@field ledger? string A path, or ":memory:".
---@field store? boolean|string Whether finished clips are kept; or the folder for them.
---@field insecure? boolean Allow http:// elsewhere than on this machine.
---@field patience? number How many seconds a lost answer is looked for.
---@field poll? number Seconds between two queries of the job.
---@field limits? {jobs: integer|false} How many jobs may run at a time.
---@field budget? number|{usd?: number, jobs?: integer|false}|false What the script may cost in US dollars, or submit, with its earlier runs.
---@field callback? string The https address of your web server: each request gets a callback_url below it.
---@field webhook_secret? string The secret that the service signs callbacks with.
---@field upload? fun(path: string): string Puts a local video, or a picture over the limit, where the service can fetch it, and returns its address. Called once for each content, only when a request is about to be sent.
---@field ca_file? string A file of certificates to trust instead of the system's.
---@field proxy? string "http://user:password@host:port", instead of what HTTPS_PROXY says.
---@field user_agent? string Such as "MyGame/1.2": who servers are told is calling.
---@field price_factor? number What your account is charged of the list price, such as 0.8: scales every estimate.
---@field lost? "ask" A lost answer stops the job at once, for you to decide.
---@field take? string Another take of the whole script.
---@field replay? boolean Whether a request of an earlier run is continued instead of made again. Default: true for scripts, false for typed lines and in a program's own Lua.
---@field strict? boolean Warnings about requests are errors.

---A URL whose signature changes each time; `id` stands for the file.
---@class kling.Address
---@field url string Where the picture or video lies.
---@field id string Its identity, such as "hero-v3".

---Of job:wait, job:accepted and task:wait.
---@class kling.WaitOptions
---@field timeout? number Seconds; then the error `timeout` is raised.
---@field on_progress? fun(job: kling.Job) Called about once a second; job:wait only.

---Of kling.map.
---@class kling.MapOptions
---@field limit? integer How many run at once. Default: all.
---@field on_progress? fun(done: integer, total: integer) Called when one more has ended.

---Of kling.still.
---@class kling.StillOptions
---@field seconds? number How long it is shown (2).
---@field at? number Which picture of a video, in seconds from its start (0).

---Of kling.concat.
---@class kling.FilmOptions
---@field audio? string|kling.Song A sound file in place of the clips' own sound.
---@field mix? number How loud the clips' own sound stays under it, 0 to 8 (0).
---@field crossfade? number Seconds in which a part goes over into the next, picture and sound (0).
---@field fade? number|number[]|{from?: number, to?: number} Seconds from black and silence, and back at the end: `{ from, to }`.
---@field size? string Such as "1280x720"; else that of the first generated clip.
---@field fps? number Else that of the first generated clip.
---@field fit? "crop"|"pad" Whether parts of another shape fill the picture or lie in black bars (pad).

---Of kling.sheet.
---@class kling.SheetOptions
---@field columns? integer Pictures in a row, 1 to 12 (3).
---@field frames? integer Of each clip, from its first to its last, 1 to 12 (3).
---@field labels? boolean The names of the shots below, where there is a font (true).

---Of a film's `audio`.
---@class kling.Song
---@field path string A sound file.
---@field volume? number 1 as it is; up to 8.
---@field loop? boolean It begins again where it is shorter than the film.
---@field fade? number|number[]|{from?: number, to?: number} Seconds: `{ from, to }`.

-- What functions give.

---One generation. Its fields show what is known now; reading them sends nothing.
---@class kling.Job
---@field handle string Finds the job again, in any session.
---@field id? string The service's id; nil until the request is accepted.
---@field state "preparing"|"sending"|"queued"|"running"|"succeeded"|"failed"|"ambiguous"|"paused" How far it is.
---@field kind string The function that made it.
---@field request? table What the script wrote.
---@field external_id? string The id that was sent with the request.
---@field created? number When it was asked for, in seconds since 1970.
---@field finished? number When it ended.
---@field prompt? string The start of its prompt.
---@field expected? number How long jobs like this take from acceptance to the end, in seconds.
---@field transfer? number How much of what goes up, while it is sending, or of the clip that comes down, 0 to 1.
---@field progress? number How much is done, 0 to 1: what the service says, else a guess by `expected`.
---@field cost number In US dollars: what the service deducted, or an estimate.
---@field reused boolean Paid for by an earlier run.
---@field path? string Where its clip is stored, once it is.
---@field where string Script and line of the call.
---@field name? string What the script calls the shot.
---@field waiting_for? string What it waits for, in words.
---@field error? kling.Error Why it ended, or stopped to ask.
---@field warning? kling.Error Why its clip could not be stored, and how to get it.
local Job = {}

---Waits for the clip. Raises what the service refused, a lost answer that needs a decision, and a failed generation. A timeout ends the waiting, never the job.
---@async
---@param options? kling.WaitOptions How long to wait.
---@return kling.Clip
function Job:wait(options) end

---Calls the function once the job has ended, in a task of its own: with its clip, or with nil and the error.
---@param fn fun(clip?: kling.Clip, error?: kling.Error) What to call.
---@return kling.Task
function Job:on_done(fn) end

---Waits until the service has given an id.
---@async
---@param options? kling.WaitOptions How long to wait.
---@return kling.Job
function Job:accepted(options) end

---A video: of a job, or a local file that concat made.
---@class kling.Clip
---@field path? string Where it is stored; reading it waits for the download.
---@field url? string Its address at the service; signed, and good for some time only.
---@field duration? number In seconds.
---@field videos? kling.Video[] All that the service gave.
---@field job? kling.Job The job that made it.
local Clip = {}

---Saves it and returns the path written. The prompt, the model and the handle go with it as a comment in its metadata.
---@async
---@param path string "folder/" picks a name; folders are made.
---@return string
function Clip:save(path) end

---What is in its file, as it is: for programs that keep it elsewhere.
---@async
---@return string
function Clip:bytes() end

---Its last picture; made when it is needed.
---@return kling.Image
function Clip:last_frame() end

---The picture at this time.
---@param seconds number From the start.
---@return kling.Image
function Clip:frame(seconds) end

---A part of it, exact to the frame. It is made when it is needed; concat cuts it by itself.
---@param from number Seconds from the start.
---@param to? number Where it ends; its end when left out.
---@return kling.Clip
function Clip:trim(from, to) end

---The same without its sound.
---@return kling.Clip
function Clip:mute() end

---What ffprobe sees in it.
---@async
---@return kling.Probe
function Clip:probe() end

---A picture: a file, bytes, or a frame of a clip that is made when it is needed.
---@class kling.Image
---@field path string Of the file; reading it makes the picture.
---@field seconds? number How long a still is shown.
local Image = {}

---Saves it as PNG or JPEG, as its name says: .png, .jpg, .jpeg.
---@async
---@param path string "folder/" picks a name; folders are made.
---@return string
function Image:save(path) end

---What is in its file, as it is.
---@async
---@return string
function Image:bytes() end

---A function that runs beside others.
---@class kling.Task
---@field done boolean It has ended.
---@field path string Its place in the script.
local Task = {}

---Waits for its end: returns its results, or raises its error.
---@async
---@param options? kling.WaitOptions How long to wait.
---@return any
function Task:wait(options) end

---Raises `interrupted` at its present wait and every later one.
function Task:cancel() end

---What is raised. tostring gives the script's line, the message and the hint.
---@class kling.Error
---@field kind "invalid"|"auth"|"balance"|"policy"|"rate_limit"|"network"|"timeout"|"server"|"protocol"|"task_failed"|"ambiguous"|"budget"|"interrupted"|"media"|"ledger"|"script" What kind of error it is: test this in a script.
---@field message string What happened.
---@field hint? string What to do.
---@field field? string Of the request, that is wrong.
---@field code? string The service's.
---@field http_status? integer The service's.
---@field request_id? string The service's, for its support.
---@field job? string The handle of the job.
---@field retryable boolean The same call may succeed later.
---@field where? string Script and line.
---@field traceback? string Through the script's own code.

---What the service answers when it is asked for a job.
---@class kling.Query
---@field status "queued"|"running"|"succeeded"|"failed" How far it is.
---@field message? string The service's words.
---@field id? string The service's id.
---@field external_id? string The id that was sent with the request.
---@field handle? string Finds the job again.
---@field videos kling.Video[] Empty until it has succeeded.
---@field raw? string The answer as it came.

---A video at the service.
---@class kling.Video
---@field id? string The service's id.
---@field url? string Signed, and good for some time only.
---@field watermark_url? string The one with a watermark.
---@field duration? number In seconds.

---What ffprobe sees in a video.
---@class kling.Probe
---@field path string Of the file.
---@field duration number In seconds.
---@field width integer Pixels.
---@field height integer Pixels.
---@field fps number Frames a second.
---@field bytes integer Of the file.
---@field video_codec string As ffmpeg calls it.
---@field audio_codec string Empty: no sound.

-- From the endpoint table: `./dev docs` writes this part.

---For type simple: exactly one of the values is not zero.
---@class kling.text2video.camera_control.config
---@field horizontal? number Moves left (negative) or right. -10 to 10.
---@field vertical? number Moves down (negative) or up. -10 to 10.
---@field pan? number Turns left (negative) or right; older documents say down or up. -10 to 10.
---@field tilt? number Turns down (negative) or up; older documents say left or right. -10 to 10.
---@field roll? number Rolls counter-clockwise (negative) or clockwise. -10 to 10.
---@field zoom? number Narrower (negative) or wider view. -10 to 10.

---A camera movement. text2video: only kling-v1, std, 5 s; image2video: only kling-v1-5, pro, 5 s, type simple.
---@class kling.text2video.camera_control
---@field type "simple"|"down_back"|"forward_up"|"right_turn_forward"|"left_turn_forward" A preset, or simple with one value in config.
---@field config? kling.text2video.camera_control.config For type simple: exactly one of the values is not zero.

---Voices for <<<voice_1>>> and <<<voice_2>>> in the prompt; needs sound = "on" and kling-v2-6.
---@class kling.text2video.voice_list
---@field voice_id string Id of a voice.

---The shots, 1 to 6; their lengths add up to duration.
---@class kling.text2video.multi_prompt
---@field prompt string The shot, at most 512 characters.
---@field duration integer|string Seconds of this shot, at least 1.
---@field index? integer|string 1, 2, 3, …; filled in when no shot has one.

---Asks for a second, watermarked video.
---@class kling.text2video.watermark_info
---@field enabled boolean true: with watermark.

---Fields of kling.text2video{}.
---@class kling.text2video: kling.RequestOptions
---@field prompt? string What the video shows. At most 2500 characters; CometAPI documents 500, so more is a warning.
---@field negative_prompt? string What to keep out of the video. At most 2500 characters; CometAPI documents 200, so more is a warning.
---@field model_name? "kling-v2-6"|"kling-v2-5-turbo"|"kling-v3"|"kling-v2-1-master"|"kling-v2-master"|"kling-v1-6"|"kling-v1" The model. kling-v2-6 is sent when none is given.
---@field model? "kling-v2-6"|"kling-v2-5-turbo"|"kling-v3"|"kling-v2-1-master"|"kling-v2-master"|"kling-v1-6"|"kling-v1" The same as model_name.
---@field mode? "std"|"pro"|"4k" std is faster and cheaper (720p), pro is better (1080p), 4k only kling-v3 and kling-v3-omni. std is sent when none is given.
---@field duration? integer|string Length in seconds: 5 or 10; kling-v3: 3 to 15. 5 is sent when none is given.
---@field aspect_ratio? "16:9"|"9:16"|"1:1"|"4:3"|"3:4"|"3:2"|"2:3" Width to height; the service takes 16:9 when none is given. CometAPI also lists 4:3, 3:4, 3:2 and 2:3, which Kling does not: a warning.
---@field cfg_scale? number How closely the video follows the prompt, 0 to 1. Not supported by kling-v2 models.
---@field camera_control? kling.text2video.camera_control A camera movement. text2video: only kling-v1, std, 5 s; image2video: only kling-v1-5, pro, 5 s, type simple.
---@field sound? "on"|"off" on makes sound too: kling-v2-6 (pro), kling-v3, kling-v3-omni without a video.
---@field voice_list? (kling.text2video.voice_list)[]|kling.text2video.voice_list Voices for <<<voice_1>>> and <<<voice_2>>> in the prompt; needs sound = "on" and kling-v2-6.
---@field multi_shot? boolean One clip of several shots (kling-v3, kling-v3-omni).
---@field shot_type? "customize"|"intelligence" With multi_shot: customize takes multi_prompt, intelligence cuts the prompt by itself.
---@field multi_prompt? (kling.text2video.multi_prompt)[]|kling.text2video.multi_prompt The shots, 1 to 6; their lengths add up to duration.
---@field watermark_info? kling.text2video.watermark_info Asks for a second, watermarked video.
---@field callback_url? string An https address that the service calls at every change of status.
---@field external_task_id? string Your own id, unique in your account. We choose one when none is given; it is how a lost answer is found again.

---The path: 2 to 77 points in pixels, the first the start.
---@class kling.image2video.dynamic_masks.trajectories
---@field x integer|string Pixels from the left.
---@field y integer|string Pixels from the bottom.

---Motion brush: up to 6 painted areas, each with the path it moves along. Only kling-v1 and kling-v1-5, 5 s.
---@class kling.image2video.dynamic_masks
---@field mask kling.Image|string|kling.Address The painted area; same size as the image. A URL, Base64, a path or an Image; JPEG or PNG, at most 10 MiB, each side at least 300 pixels, ratio 1:2.5 to 2.5:1.
---@field trajectories (kling.image2video.dynamic_masks.trajectories)[]|kling.image2video.dynamic_masks.trajectories The path: 2 to 77 points in pixels, the first the start.

---For type simple: exactly one of the values is not zero.
---@class kling.image2video.camera_control.config
---@field horizontal? number Moves left (negative) or right. -10 to 10.
---@field vertical? number Moves down (negative) or up. -10 to 10.
---@field pan? number Turns left (negative) or right; older documents say down or up. -10 to 10.
---@field tilt? number Turns down (negative) or up; older documents say left or right. -10 to 10.
---@field roll? number Rolls counter-clockwise (negative) or clockwise. -10 to 10.
---@field zoom? number Narrower (negative) or wider view. -10 to 10.

---A camera movement. text2video: only kling-v1, std, 5 s; image2video: only kling-v1-5, pro, 5 s, type simple.
---@class kling.image2video.camera_control
---@field type "simple"|"down_back"|"forward_up"|"right_turn_forward"|"left_turn_forward" A preset, or simple with one value in config.
---@field config? kling.image2video.camera_control.config For type simple: exactly one of the values is not zero.

---Voices for <<<voice_1>>> and <<<voice_2>>> in the prompt; needs sound = "on" and kling-v2-6.
---@class kling.image2video.voice_list
---@field voice_id string Id of a voice.

---Registered elements, as <<<element_1>>> … in the prompt.
---@class kling.image2video.element_list
---@field element_id integer|string Id of an element; write it as text, it may exceed 2^53.

---The shots, 1 to 6; their lengths add up to duration.
---@class kling.image2video.multi_prompt
---@field prompt string The shot, at most 512 characters.
---@field duration integer|string Seconds of this shot, at least 1.
---@field index? integer|string 1, 2, 3, …; filled in when no shot has one.

---Asks for a second, watermarked video.
---@class kling.image2video.watermark_info
---@field enabled boolean true: with watermark.

---Fields of kling.image2video{}.
---@class kling.image2video: kling.RequestOptions
---@field image? kling.Image|string|kling.Address The first frame. Needed unless image_tail is given. A URL, Base64, a path or an Image; JPEG or PNG, at most 10 MiB, each side at least 300 pixels, ratio 1:2.5 to 2.5:1.
---@field image_tail? kling.Image|string|kling.Address The last frame. A URL, Base64, a path or an Image; JPEG or PNG, at most 10 MiB, each side at least 300 pixels, ratio 1:2.5 to 2.5:1.
---@field prompt? string What moves, and how. At most 2500 characters; CometAPI documents 500, so more is a warning.
---@field negative_prompt? string What to keep out of the video. At most 2500 characters; CometAPI documents 200, so more is a warning.
---@field model_name? "kling-v2-6"|"kling-v2-5-turbo"|"kling-v3"|"kling-v2-1"|"kling-v2-1-master"|"kling-v2-master"|"kling-v1-6"|"kling-v1-5"|"kling-v1" The model. kling-v2-6 is sent when none is given.
---@field model? "kling-v2-6"|"kling-v2-5-turbo"|"kling-v3"|"kling-v2-1"|"kling-v2-1-master"|"kling-v2-master"|"kling-v1-6"|"kling-v1-5"|"kling-v1" The same as model_name.
---@field mode? "std"|"pro"|"4k" std is faster and cheaper (720p), pro is better (1080p), 4k only kling-v3 and kling-v3-omni. std is sent when none is given.
---@field duration? integer|string Length in seconds: 5 or 10; kling-v3: 3 to 15. 5 is sent when none is given.
---@field cfg_scale? number How closely the video follows the prompt, 0 to 1. Not supported by kling-v2 models.
---@field static_mask? kling.Image|string|kling.Address White areas stay frozen; same size as the image. Only kling-v1 and kling-v1-5. A URL, Base64, a path or an Image; JPEG or PNG, at most 10 MiB, each side at least 300 pixels, ratio 1:2.5 to 2.5:1.
---@field dynamic_masks? (kling.image2video.dynamic_masks|kling.Image|string|kling.Address)[]|kling.image2video.dynamic_masks|kling.Image|string|kling.Address Motion brush: up to 6 painted areas, each with the path it moves along. Only kling-v1 and kling-v1-5, 5 s.
---@field camera_control? kling.image2video.camera_control A camera movement. text2video: only kling-v1, std, 5 s; image2video: only kling-v1-5, pro, 5 s, type simple.
---@field sound? "on"|"off" on makes sound too: kling-v2-6 (pro), kling-v3, kling-v3-omni without a video.
---@field voice_list? (kling.image2video.voice_list)[]|kling.image2video.voice_list Voices for <<<voice_1>>> and <<<voice_2>>> in the prompt; needs sound = "on" and kling-v2-6.
---@field element_list? (kling.image2video.element_list)[]|kling.image2video.element_list Registered elements, as <<<element_1>>> … in the prompt.
---@field multi_shot? boolean One clip of several shots (kling-v3, kling-v3-omni).
---@field shot_type? "customize"|"intelligence" With multi_shot: customize takes multi_prompt, intelligence cuts the prompt by itself.
---@field multi_prompt? (kling.image2video.multi_prompt)[]|kling.image2video.multi_prompt The shots, 1 to 6; their lengths add up to duration.
---@field watermark_info? kling.image2video.watermark_info Asks for a second, watermarked video.
---@field callback_url? string An https address that the service calls at every change of status.
---@field external_task_id? string Your own id, unique in your account. We choose one when none is given; it is how a lost answer is found again.

---2 to 4 pictures; Kling's own documents allow 1 too, so 1 is a warning.
---@class kling.multi_image2video.image_list
---@field image? kling.Image|string|kling.Address A picture, already cut to its subject. A URL, Base64, a path or an Image; JPEG or PNG, at most 10 MiB, each side at least 300 pixels, ratio 1:2.5 to 2.5:1.
---@field image_url? kling.Image|string|kling.Address The same as image.

---The path: 2 to 77 points in pixels, the first the start.
---@class kling.multi_image2video.dynamic_masks.trajectories
---@field x integer|string Pixels from the left.
---@field y integer|string Pixels from the bottom.

---Motion brush: up to 6 painted areas, each with the path it moves along. Only kling-v1 and kling-v1-5, 5 s.
---@class kling.multi_image2video.dynamic_masks
---@field mask kling.Image|string|kling.Address The painted area; same size as the image. A URL, Base64, a path or an Image; JPEG or PNG, at most 10 MiB, each side at least 300 pixels, ratio 1:2.5 to 2.5:1.
---@field trajectories (kling.multi_image2video.dynamic_masks.trajectories)[]|kling.multi_image2video.dynamic_masks.trajectories The path: 2 to 77 points in pixels, the first the start.

---Asks for a second, watermarked video.
---@class kling.multi_image2video.watermark_info
---@field enabled boolean true: with watermark.

---Fields of kling.multi_image2video{}.
---@class kling.multi_image2video: kling.RequestOptions
---@field image_list (kling.multi_image2video.image_list|kling.Image|string|kling.Address)[]|kling.multi_image2video.image_list|kling.Image|string|kling.Address 2 to 4 pictures; Kling's own documents allow 1 too, so 1 is a warning.
---@field prompt string What happens. At most 2500 characters; CometAPI documents 500, so more is a warning.
---@field negative_prompt? string What to keep out of the video. At most 2500 characters; CometAPI documents 200, so more is a warning.
---@field model_name? "kling-v1-6" The model. kling-v1-6 is sent when none is given.
---@field model? "kling-v1-6" The same as model_name.
---@field mode? "std"|"pro" std is faster and cheaper (720p), pro is better (1080p). std is sent when none is given.
---@field duration? integer|string Length in seconds: 5 or 10. 5 is sent when none is given.
---@field aspect_ratio? "16:9"|"9:16"|"1:1" Width to height; the service takes 16:9 when none is given.
---@field cfg_scale? number How closely the video follows the prompt, 0 to 1. Only CometAPI's page lists it here: a warning.
---@field static_mask? kling.Image|string|kling.Address White areas stay frozen; same size as the image. Only kling-v1 and kling-v1-5. A URL, Base64, a path or an Image; JPEG or PNG, at most 10 MiB, each side at least 300 pixels, ratio 1:2.5 to 2.5:1.
---@field dynamic_masks? (kling.multi_image2video.dynamic_masks|kling.Image|string|kling.Address)[]|kling.multi_image2video.dynamic_masks|kling.Image|string|kling.Address Motion brush: up to 6 painted areas, each with the path it moves along. Only kling-v1 and kling-v1-5, 5 s.
---@field watermark_info? kling.multi_image2video.watermark_info Asks for a second, watermarked video.
---@field callback_url? string An https address that the service calls at every change of status.
---@field external_task_id? string Your own id, unique in your account. We choose one when none is given; it is how a lost answer is found again.

---Pictures to refer to. With elements at most 7 in all, 4 when there is a video.
---@class kling.omni.image_list
---@field image_url? kling.Image|string|kling.Address A picture. A URL, Base64, a path or an Image; JPEG or PNG, at most 10 MiB, each side at least 300 pixels, ratio 1:2.5 to 2.5:1.
---@field image? kling.Image|string|kling.Address The same as image_url.
---@field type? "first_frame"|"end_frame" Makes the picture the first or the last frame.

---Registered elements, as <<<element_1>>> … in the prompt.
---@class kling.omni.element_list
---@field element_id integer|string Id of an element; write it as text, it may exceed 2^53.

---One video to edit or to refer to.
---@class kling.omni.video_list
---@field video_url? kling.Clip|string|kling.Address A URL or a Clip: MP4 or MOV, 3 to 10 s, 720 to 2160 pixels, 24 to 60 frames a second, at most 200 MB.
---@field video? kling.Clip|string|kling.Address The same as video_url.
---@field refer_type? "base"|"feature" base (the service's default) edits the video, feature takes its style.
---@field keep_original_sound? "yes"|"no" Whether the video's sound is kept.

---The shots, 1 to 6; their lengths add up to duration.
---@class kling.omni.multi_prompt
---@field prompt string The shot, at most 512 characters.
---@field duration integer|string Seconds of this shot, at least 1.
---@field index? integer|string 1, 2, 3, …; filled in when no shot has one.

---Asks for a second, watermarked video.
---@class kling.omni.watermark_info
---@field enabled boolean true: with watermark.

---Fields of kling.omni{}.
---@class kling.omni: kling.RequestOptions
---@field prompt? string What the video shows, with <<<image_1>>>, <<<element_1>>> and <<<video_1>>> for what the lists hold. At most 2500 characters.
---@field model_name? "kling-video-o1"|"kling-v3-omni" The model. kling-video-o1 is sent when none is given.
---@field model? "kling-video-o1"|"kling-v3-omni" The same as model_name.
---@field image_list? (kling.omni.image_list|kling.Image|string|kling.Address)[]|kling.omni.image_list|kling.Image|string|kling.Address Pictures to refer to. With elements at most 7 in all, 4 when there is a video.
---@field element_list? (kling.omni.element_list)[]|kling.omni.element_list Registered elements, as <<<element_1>>> … in the prompt.
---@field video_list? (kling.omni.video_list|kling.Clip|string|kling.Address)[]|kling.omni.video_list|kling.Clip|string|kling.Address One video to edit or to refer to.
---@field mode? "std"|"pro"|"4k" std is faster and cheaper (720p), pro is better (1080p), 4k only kling-v3 and kling-v3-omni. std is sent when none is given.
---@field aspect_ratio? "16:9"|"9:16"|"1:1" Width to height; a first frame or a video to edit sets it too. 16:9 is sent when none is given.
---@field duration? integer|string Length in seconds: kling-video-o1 3 to 10, kling-v3-omni 3 to 15; not sent when a video is edited. 5 is sent when none is given.
---@field sound? "on"|"off" on makes sound too: kling-v2-6 (pro), kling-v3, kling-v3-omni without a video.
---@field multi_shot? boolean One clip of several shots (kling-v3, kling-v3-omni).
---@field shot_type? "customize"|"intelligence" With multi_shot: customize takes multi_prompt, intelligence cuts the prompt by itself.
---@field multi_prompt? (kling.omni.multi_prompt)[]|kling.omni.multi_prompt The shots, 1 to 6; their lengths add up to duration.
---@field watermark_info? kling.omni.watermark_info Asks for a second, watermarked video.
---@field callback_url? string An https address that the service calls at every change of status.
---@field external_task_id? string Your own id, unique in your account. We choose one when none is given; it is how a lost answer is found again.

-- So far the endpoint table.

---@class kling.Module
---@field null userdata JSON's null, where a field needs it.
---@field _VERSION string Name and version of the module.
local kling = {}

-- From the endpoint table: `./dev docs` writes this part.

---A video from a prompt. Returns at once; only `wait` waits for the service.
---@async
---@param request kling.text2video What is wanted.
---@return kling.Job
function kling.text2video(request) end

---A video that starts from a picture; it has the picture's ratio. Returns at once; only `wait` waits for the service.
---@async
---@param request kling.image2video What is wanted.
---@return kling.Job
function kling.image2video(request) end

---A video in which the subjects of up to four pictures meet. Its only model was announced as retired on 2026-09-15; kling.omni with image_list is the living way. Returns at once; only `wait` waits for the service.
---@async
---@param request kling.multi_image2video What is wanted.
---@return kling.Job
function kling.multi_image2video(request) end

---A video from a prompt with pictures, elements and a video to refer to. Returns at once; only `wait` waits for the service.
---@async
---@param request kling.omni What is wanted.
---@return kling.Job
function kling.omni(request) end

---A video from a prompt with pictures, elements and a video to refer to. Returns at once; only `wait` waits for the service.
---@async
---@param request kling.omni What is wanted.
---@return kling.Job
function kling.omni_video(request) end

-- So far the endpoint table.

---Asks the service once.
---@async
---@param job kling.Job|string|{external_id: string, kind?: string} A Job, a handle, an id, or an external id with its kind.
---@param kind? string Of a bare id that the ledger does not know.
---@return kling.Query
function kling.query(job, kind) end

---The job of a handle, in any later script or session.
---@async
---@param handle string A handle, or an id that the ledger knows.
---@return kling.Job
function kling.job(handle) end

---Any other endpoint of the service, with the same key and errors. Returns the answer.
---@async
---@param method "GET"|"POST" A POST is recorded before it is sent, and never repeated.
---@param path string From / on.
---@param body? table Sent as JSON.
---@return any
function kling.request(method, path, body) end

---The picture in a local file.
---@param path string JPEG or PNG.
---@return kling.Image
function kling.image(path) end

---A picture from its bytes.
---@param data string JPEG or PNG.
---@return kling.Image
function kling.bytes(data) end

---A picture to be shown for some seconds in a film: a part for concat.
---@param from kling.Image|kling.Clip|string A picture or video, or the path of one.
---@param options? kling.StillOptions How long, and which picture.
---@return kling.Image
function kling.still(from, options) end

---Joins clips to one film, which has the size and rate of the first generated clip. A clip that begins with the last frame of the one before shows it once. Each sound lasts as long as its picture. A film that is there already, of the same parts and options, is not made again.
---@async
---@param parts (kling.Clip|kling.Image|kling.Job|kling.Task|string)[] Clips, stills and paths. Jobs and tasks are waited for.
---@param path string Where the film goes.
---@param options? kling.FilmOptions Its sound, transitions and size.
---@return kling.Clip
function kling.concat(parts, path, options) end

---The same film as a timeline for an editor: OpenTimelineIO, with the clips' own files, cuts, crossfades, prompts, and other takes of a shot as alternates. Returns the path written.
---@async
---@param parts (kling.Clip|kling.Image|kling.Job|kling.Task|string)[] Clips, stills and paths. Jobs and tasks are waited for.
---@param path string Mostly "film.otio".
---@param options? kling.FilmOptions As for concat.
---@return string
function kling.timeline(parts, path, options) end

---A contact sheet: small pictures of clips side by side, to choose from. It is made when it is needed.
---@async
---@param items (kling.Clip|kling.Image|kling.Job|kling.Task|string)[] Clips, images and paths. Jobs and tasks are waited for.
---@param options? kling.SheetOptions Its columns and labels.
---@return kling.Image
function kling.sheet(items, options) end

---Asks a person which of these is taken. The answer is kept: the next run does not ask.
---@async
---@generic C: kling.Clip|kling.Image
---@overload fun(question: string, jobs: (kling.Job|kling.Task)[]): kling.Clip
---@param question string
---@param clips C[] One alone is returned at once. Jobs and tasks are waited for.
---@return C
function kling.pick(question, clips) end

---Asks a person whether these are good. The answer is kept.
---@async
---@param question string
---@param clips (kling.Clip|kling.Image|kling.Job|kling.Task)[] What it is about. Jobs and tasks are waited for.
---@return boolean
function kling.approve(question, clips) end

---Asks a person which of these texts is meant. The answer is kept.
---@async
---@param question string
---@param choices string[] Two or more.
---@return string
function kling.ask(question, choices) end

---Waits for all of them; the results have the same keys. An error interrupts the others' waits and is raised with all tracebacks.
---@async
---@generic K
---@param items table<K, kling.Job|kling.Task|function> Functions are started as tasks.
---@param options? {on_progress: fun(done: integer, total: integer)} Called when one more has ended.
---@return table<K, any>
function kling.all(items, options) end

---The first that succeeds, and its key; when none does, the first error.
---@async
---@generic K
---@param items table<K, kling.Job|kling.Task|function> Functions are started as tasks.
---@return any
---@return K
function kling.any(items) end

---Calls `fn` for each, side by side; the results come in the order of the list.
---@async
---@generic V, R
---@param list V[] What `fn` is called with.
---@param fn fun(value: V, index: integer): R Runs as a task, so it may wait.
---@param options? kling.MapOptions How many at once.
---@return R[]
function kling.map(list, fn, options) end

---Starts a task that runs beside this one.
---@param fn function The task.
---@param ... any Its arguments.
---@return kling.Task
function kling.spawn(fn, ...) end

---Waits this long; other tasks continue.
---@async
---@param seconds number Fractions count.
function kling.sleep(seconds) end

---The results of `fn`, if they come in time. Its jobs go on in any case.
---@async
---@param seconds number After them the error `timeout` is raised.
---@param fn function Runs as a task.
---@param ... any Its arguments.
---@return any
function kling.timeout(seconds, fn, ...) end

---Hands in a callback of the service: its job is then queried soon. Returns nil and the reason if it is no callback.
---@param path string Of the request that your web server got.
---@param body string As it came.
---@param headers? table<string, string> Needed where a webhook_secret is set.
---@return true|nil, string?
function kling.notify(path, body, headers) end

---A line in the program's log.
---@param level "debug"|"info"|"warning"|"error"|any Left out: info.
---@param ... any As print shows it.
function kling.log(level, ...) end

---The rows of a table, ready for a request: an empty cell is left out. `name` and `take` are columns like others.
---@async
---@param path string A CSV file: commas, semicolons or tabs; its first row names columns.
---@return table<string, string>[]
function kling.csv(path) end

---What the file or the JSON text holds, or the value as JSON text.
---@async
---@param what string|any The path of a JSON file, or text that begins with { or [; anything else is a value.
---@return any
function kling.json(what) end

---Changes the settings of this module; before its first job, but for limits, budget and strict.
---@param options? kling.Options Only what is to change.
function kling.configure(options) end

---A second module with settings of its own.
---@param options? kling.Options Only what is to change.
---@return kling.Module
function kling.client(options) end

return kling
