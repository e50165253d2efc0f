// What people write by mistake, and what they are told: tests/cli/slips_test.cpp runs each through
// the program and compares the whole message, docs/slips.md is made of it.
#pragma once

struct SlipSample {
  const char* heading;  ///< of the first of several
  const char* script;  ///< after local kling = require "kling"; with "!" before it: the whole of it
  const char* says;    ///< the message; empty: it works
  const char* prints;
};

constexpr SlipSample kSlipSamples[] = {
    {"A job is not its clip",
     R"lua(local job = kling.text2video { prompt = "A fox" }
job:save("shot.mp4"))lua",
     R"lua(kling: film.lua:3: a Job has no save
  do: wait for its clip: job:wait():save(…)
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
kling.image2video { image = job:last_frame(), prompt = "It runs" })lua",
     R"lua(kling: film.lua:3: a Job has no last_frame
  do: wait for its clip: job:wait():last_frame()
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
print(job.duration))lua",
     R"lua(kling: film.lua:3: a Job has no duration
  do: wait for its clip: job:wait().duration
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
print(job.url))lua",
     R"lua(kling: film.lua:3: a Job has no url
  do: wait for its clip: job:wait().url
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
print(job.width))lua",
     R"lua(kling: film.lua:3: a Job has no width
  do: wait for its clip: job:wait():probe().width
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
print(job.status))lua",
     R"lua(kling: film.lua:3: a Job has no status
  do: write job.state
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
print(job.result))lua",
     R"lua(kling: film.lua:3: a Job has no result
  do: wait for its clip: job:wait()
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
job:download("shot.mp4"))lua",
     R"lua(kling: film.lua:3: a Job has no download
  do: wait for its clip: job:wait():save("shot.mp4")
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
job:cancel())lua",
     R"lua(kling: film.lua:3: a Job has no cancel
  do: what was sent cannot be called back; task:cancel() ends a task's waits
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
print(job.sate))lua",
     R"lua(kling: film.lua:3: a Job has no sate
  do: did you mean state?
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
job:wait(60))lua",
     R"lua(kling: film.lua:3: wait takes a table
  do: write job:wait { timeout = 60 }
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
kling.image2video { image = job, prompt = "It runs" })lua",
     R"lua(kling: film.lua:3: image is a Job
  do: give a picture of its clip: job:wait():last_frame()
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
kling.omni { video_list = { job }, prompt = "It snows" })lua",
     R"lua(kling: film.lua:3: video_list[1] is a Job
  do: write job:wait()
)lua",
     ""},
    {"",
     R"lua(local task = kling.spawn(function() return kling.text2video("A fox"):wait() end)
task:save("shot.mp4"))lua",
     R"lua(kling: film.lua:3: a Task has no save
  do: wait for what its function returns: task:wait():save(…)
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
print(kling.concat({ job, job }, "film.mp4").path))lua",
     "",
     R"lua(film.mp4
)lua"},
    {"",
     R"lua(local clips = kling.map({ "A fox", "A crow" }, function(animal)
  return kling.text2video { prompt = animal }
end)
print(clips[2]:save("crow.mp4")))lua",
     "",
     R"lua(crow.mp4
)lua"},
    {"",
     R"lua(local clips = kling.all { fox = function() return kling.text2video("A fox") end }
print(clips.fox:save("fox.mp4")))lua",
     "",
     R"lua(fox.mp4
)lua"},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
job.name = "fox")lua",
     R"lua(kling: film.lua:3: attempt to index a kling.Job value (local 'job')
  do: it cannot be changed; name = "…" and such stand in its request
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video("A fox")
job:then(function(clip) print(clip) end))lua",
     R"lua(kling: film.lua:3: <name> expected near 'then'
  job:then(function(clip) print(clip) end)
      ^
  do: write job:wait(), or job:on_done(function(clip, err) … end)
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video("A fox")
kling.spawn(job))lua",
     R"lua(kling: film.lua:3: spawn takes a function, got a Job
  do: leave spawn out: a job runs by itself; job:wait() gives its clip
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video("A fox"):wait()
kling.query(clip))lua",
     R"lua(kling: film.lua:3: query wants a job, got a Clip
  do: write kling.query(clip.job)
)lua",
     ""},
    {"Clips and pictures",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
print(clip.durations))lua",
     R"lua(kling: film.lua:3: a Clip has no durations
  do: did you mean duration?
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
print(clip.length))lua",
     R"lua(kling: film.lua:3: a Clip has no length
  do: write clip.duration
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
print(clip.width))lua",
     R"lua(kling: film.lua:3: a Clip has no width
  do: write clip:probe().width
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
print(clip.prompt))lua",
     R"lua(kling: film.lua:3: a Clip has no prompt
  do: write clip.job.prompt
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
print(clip.cost))lua",
     R"lua(kling: film.lua:3: a Clip has no cost
  do: write clip.job.cost
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
print(clip.first_frame))lua",
     R"lua(kling: film.lua:3: a Clip has no first_frame
  do: write clip:frame(0)
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:wait())lua",
     R"lua(kling: film.lua:3: a Clip has no wait
  do: leave it out: a Clip is already finished
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:download("shot.mp4"))lua",
     R"lua(kling: film.lua:3: a Clip has no download
  do: write clip:save("shot.mp4")
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:save())lua",
     R"lua(kling: film.lua:3: bad argument #1 to 'save' (string expected, got no value)
  do: write clip:save(path)
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:save("~/shot.mp4"))lua",
     R"lua(kling: film.lua:3: Lua does not know the folder ~: ~/shot.mp4
  do: write os.getenv("HOME") .. "/shot.mp4"
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.image2video { image = clip, prompt = "It runs" })lua",
     R"lua(kling: film.lua:3: image2video: image wants a picture, got a clip
  do: clip:last_frame() or clip:frame(seconds) gives one
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.text2video { prompt = "After " .. clip })lua",
     R"lua(kling: film.lua:3: attempt to concatenate a kling.Clip value (local 'clip')
  do: kling.concat({ one, two }, "film.mp4") joins clips; as text write tostring(clip)
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
print(clip:last_frame().last_frame))lua",
     R"lua(kling: film.lua:3: an Image has no last_frame
  do: leave it out: an Image is already a picture
)lua",
     ""},
    {"", R"lua(kling.image2video { image = "~/hero.png", prompt = "It runs" })lua",
     R"lua(kling: film.lua:2: image2video: Lua does not know the folder ~: image is ~/hero.png
  do: write os.getenv("HOME") .. "/hero.png"
)lua",
     ""},
    {"", R"lua(kling.image2video { image = "hero.png", prompt = "It runs" })lua",
     R"lua(kling: film.lua:2: image2video: image: no such file: hero.png
  do: check the path; relative ones start at the working folder
)lua",
     ""},
    {"", R"lua(kling.omni { video_list = { "old.mp4" }, prompt = "It snows" })lua",
     R"lua(kling: film.lua:2: omni: video_list[1]: the service takes videos by URL only
  do: give the https:// address of the file or a generated Clip, or say where files go: kling.configure { upload = function(path) … return url end }
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.image2video { image = clip.last_frame, prompt = "It runs" })lua",
     R"lua(kling: film.lua:3: image is a function, which cannot be sent
  do: call it, such as clip:last_frame()
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:save("shot.png"))lua",
     R"lua(kling: film.lua:3: shot.png: a clip is an MP4
  do: name it shot.mp4
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:save("shot.avi"))lua",
     R"lua(kling: film.lua:3: shot.avi: a clip is an MP4
  do: name it shot.mp4
)lua",
     ""},
    {"", R"lua(kling.image2video { image = "www.example.org/fox.png", prompt = "It runs" })lua",
     R"lua(kling: film.lua:2: image2video: image is no path: www.example.org/fox.png
  do: write https:// before an address, ./ before a folder
)lua",
     ""},
    {"", R"lua(kling.image2video { image = "file:///pictures/fox.png", prompt = "It runs" })lua",
     R"lua(kling: film.lua:2: image2video: image is no path: file:///pictures/fox.png
  do: give the path alone: what follows file://
)lua",
     ""},
    {"", R"lua(kling.image2video { image = "C:\\pictures\\fox.png", prompt = "It runs" })lua",
     R"lua(kling: film.lua:2: image2video: image is no path: C:\pictures\fox.png
  do: a disk of Windows lies elsewhere here, such as /mnt/c/…
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
print(clip.lenght))lua",
     R"lua(kling: film.lua:3: a Clip has no lenght
  do: write clip.duration
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:trim(4, 1))lua",
     R"lua(kling: film.lua:3: trim: 4 to 1 is no part of this clip, which is 5.0 s long
  do: write clip:trim(1, 4), in seconds from its start
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:trim(7, 9))lua",
     R"lua(kling: film.lua:3: trim: 7 to 9 is no part of this clip, which is 5.0 s long
  do: write clip:trim(1, 4), in seconds from its start
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:trim("0:01"))lua",
     R"lua(kling: film.lua:3: trim takes two numbers, got 0:01
  do: write clip:trim(1, 4), in seconds from its start
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
job:wait { timeout = "1m" })lua",
     R"lua(kling: film.lua:3: timeout is a number of seconds
  do: write timeout = 60
)lua",
     ""},
    {"", R"lua(kling.image2video { image = hero.png, prompt = "It runs" })lua",
     R"lua(kling: film.lua:2: attempt to index a nil value (global 'hero')
  do: it has no value; a text, such as a path, stands in quotes
)lua",
     ""},
    {"", R"lua(kling.image2video { image = ~/hero.png, prompt = "It runs" })lua",
     R"lua(kling: film.lua:2: unexpected symbol near '/'
  kling.image2video { image = ~/hero.png, prompt = "It runs" }
                               ^
  do: a path stands in quotes, and begins with os.getenv("HOME") instead of ~
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip.duration = 3)lua",
     R"lua(kling: film.lua:3: attempt to index a kling.Clip value (local 'clip')
  do: it cannot be changed; name = "…" and such stand in its request
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
print(#clip))lua",
     R"lua(kling: film.lua:3: attempt to get length of a kling.Clip value (local 'clip')
  do: a clip has clip.duration; # counts a list
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
local both = clip + clip)lua",
     R"lua(kling: film.lua:3: attempt to perform arithmetic on a kling.Clip value (local 'clip')
  do: kling.concat({ one, two }, "film.mp4") joins clips; as text write tostring(clip)
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
for key, value in pairs(clip) do print(key) end)lua",
     R"lua(kling: film.lua:3: bad argument #1 to 'for iterator' (table expected, got kling.Clip)
  do: pairs and ipairs go through tables only
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.image2video { image = clip.path, prompt = "It runs" })lua",
     R"lua(kling: film.lua:3: image2video: image is MP4 or MOV; the service takes JPEG and PNG pictures
  do: take a picture of it: clip:last_frame(), or kling.still(PATH, { at = 0 })
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:trim { 1, 4 })lua",
     R"lua(kling: film.lua:3: trim takes two numbers, got a table
  do: write clip:trim(1, 4), in seconds from its start
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.sheet({ clip }, "sheet.png"))lua",
     R"lua(kling: film.lua:3: sheet takes no path
  do: write kling.sheet({ one, two }):save("sheet.png")
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.still("title.png", 3))lua",
     R"lua(kling: film.lua:3: still takes options by name
  do: write kling.still("title.png", { seconds = 3 })
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video("A fox"):wait()
clip:save("$HOME/x.mp4"))lua",
     R"lua(kling: film.lua:3: Lua does not know variables of the shell: $HOME/x.mp4
  do: write os.getenv("HOME") .. "/…"
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video("A fox"):wait()
clip:save("https://example.org/x.mp4"))lua",
     R"lua(kling: film.lua:3: this is an address and no path: https://example.org/x.mp4
  do: give a path of this machine, such as shots/fox.mp4
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video("A fox"):wait()
clip:save("file:///tmp/x.mp4"))lua",
     R"lua(kling: film.lua:3: this is an address and no path: file:///tmp/x.mp4
  do: give a path of this machine, such as shots/fox.mp4
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video("A fox"):wait()
clip:save("C:\\Users\\me\\x.mp4"))lua",
     R"lua(kling: film.lua:3: this is no path here: C:\Users\me\x.mp4
  do: a disk of Windows lies elsewhere, such as /mnt/c/…; folders stand between /
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video("A fox"):wait()
clip:save("film.lua/x.mp4"))lua",
     R"lua(kling: film.lua:3: cannot make the folder film.lua: Not a directory
  do: a part of the path is a file, where a folder is meant
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video("A fox"):wait()
clip:cut(1, 2))lua",
     R"lua(kling: film.lua:3: a Clip has no cut
  do: write clip:trim(1, 4)
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video("A fox"):wait()
clip:frame("last"))lua",
     R"lua(kling: film.lua:3: frame takes seconds, got string
  do: write clip:frame(2.5), in seconds from its start; the end is clip:last_frame()
)lua",
     ""},
    {"",
     R"lua(local path = kling.text2video("A fox"):wait():save("fox.mp4")
path:last_frame())lua",
     R"lua(kling: film.lua:3: attempt to call a nil value (method 'last_frame')
  do: this is no clip: save gives a path; an item of a list is list[1]:last_frame(…)
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video("A fox"):wait()
print(clip:duration()))lua",
     R"lua(kling: film.lua:3: attempt to call a number value (method 'duration')
  do: it is a number: write .duration without brackets
)lua",
     ""},
    {"",
     R"lua(local one, two = kling.text2video("A fox"), kling.text2video("A crow")
table.concat({ one, two }, "film.mp4"))lua",
     R"lua(kling: film.lua:3: invalid value (userdata) at index 1 in table for 'concat'
  do: kling.concat({ one, two }, "film.mp4") joins clips; table.concat joins texts
)lua",
     ""},
    {"",
     R"lua(local one, two = kling.text2video("A fox"), kling.text2video("A crow")
kling.concat({ one, two }, "film.mp4", { crossfade = 7 }))lua",
     R"lua(kling: film.lua:3: A fox is shown for 5.042 s, too short for crossfade = 7
  do: give crossfade at most 5
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video("A fox"):wait()
kling.concat({ clip }, "film.mp4", { audio = "s.wav", volume = 0.5 }))lua",
     R"lua(kling: film.lua:3: concat: unknown option volume, write audio = { path = "song.mp3", volume = 0.5 }
  do: it knows audio, crossfade, fade, fit, fps, mix, size
)lua",
     ""},
    {"", R"lua(kling.image2video { image = "ftp://example.org/fox.png", prompt = "It runs" })lua",
     R"lua(kling: film.lua:2: image2video: image is no path: ftp://example.org/fox.png
  do: the service takes http:// and https:// addresses
)lua",
     ""},
    {"",
     R"lua(kling.configure { upload = function(path) return "https://example.org/" .. path end }
kling.omni { prompt = "<<<video_1>>> in snow", video_list = { "film.lua" } }:wait())lua",
     R"lua(kling: film.lua:3: omni: video_list[1]: film.lua is text; the service takes MP4 and MOV videos
  do: give a video or a Clip
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:fade(1))lua",
     R"lua(kling: film.lua:3: a Clip has no fade
  do: write kling.concat(clips, "film.mp4", { crossfade = 0.5, fade = 1 })
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:speed(2))lua",
     R"lua(kling: film.lua:3: a Clip has no speed
  do: kling cannot do that: save the clip, and use ffmpeg or an editing program
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:crop("1:1"))lua",
     R"lua(kling: film.lua:3: a Clip has no crop
  do: write kling.concat(clips, "film.mp4", { size = "720x720", fit = "crop" })
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:trim(1..4))lua",
     R"lua(kling: film.lua:3: malformed number near '1..4'
  clip:trim(1..4)
            ^
  do: a comma separates two numbers: clip:trim(1, 4)
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.concat({ clip, clip }, "film.mp4", { fade = 20 }))lua",
     R"lua(kling: film.lua:3: film.mp4 is 10.08 s long, shorter than fade = { 20, 20 }
  do: write fade = { 1, 2 }: seconds at its beginning and end, in all at most the film's
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.concat({ clip, clip, audio = "song.mp3" }, "film.mp4"))lua",
     R"lua(kling: film.lua:3: concat takes a list, and got a table with the name audio in it
  do: options are a table of their own, the last one: { audio = … }
)lua",
     ""},
    {"Dots and colons", R"lua(kling:text2video { prompt = "A fox" })lua",
     R"lua(kling: film.lua:2: text2video was called with a colon
  do: write kling.text2video with a dot
)lua",
     ""},
    {"", R"lua(kling:spawn(print))lua",
     R"lua(kling: film.lua:2: spawn was called with a colon
  do: write kling.spawn with a dot
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
kling:concat({ job }, "film.mp4"))lua",
     R"lua(kling: film.lua:3: concat was called with a colon
  do: write kling.concat with a dot
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
job.wait())lua",
     R"lua(kling: film.lua:3: wait wants its job first, got nil
  do: write job:wait(…) with a colon
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip.save("shot.mp4"))lua",
     R"lua(kling: film.lua:3: save wants its clip first, got string
  do: write clip:save(…) with a colon
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
kling.wait(job))lua",
     R"lua(kling: film.lua:3: attempt to call a nil value (field 'wait')
  do: write job:wait(…): it belongs to the job
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.save("shot.mp4"))lua",
     R"lua(kling: film.lua:3: attempt to call a nil value (field 'save')
  do: write clip:save(…): it belongs to the clip
)lua",
     ""},
    {"The functions of kling",
     R"lua(print(kling.text2video("A fox"):wait().job.request.prompt))lua", "",
     R"lua(A fox
)lua"},
    {"", R"lua(kling.text2video("A fox", { duration = 10 }))lua",
     R"lua(kling: film.lua:2: text2video takes one table, got two arguments
  do: write kling.text2video { prompt = "…", duration = 5 }
)lua",
     ""},
    {"", R"lua(kling.text2video())lua",
     R"lua(kling: film.lua:2: text2video takes one table, got no value
  do: write kling.text2video { prompt = "…", duration = 5 }
)lua",
     ""},
    {"", R"lua(kling.text2vidio { prompt = "A fox" })lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (field 'text2vidio')
  do: did you mean kling.text2video?
)lua",
     ""},
    {"", R"lua(text2video { prompt = "A fox" })lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'text2video')
  do: did you mean kling.text2video?
)lua",
     ""},
    {"", R"lua(kling.query())lua",
     R"lua(kling: film.lua:2: query wants a job
  do: write kling.query(job), or its handle as text
)lua",
     ""},
    {"", R"lua(kling.all(1, 2))lua",
     R"lua(kling: film.lua:2: kling.all takes a table of jobs, tasks and functions
  do: write kling.all { one, two }
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.all { clip })lua",
     R"lua(kling: film.lua:3: kling.all: [1] is a kling.Clip; it takes jobs, tasks and functions
  do: leave out :wait() there: all waits
)lua",
     ""},
    {"", R"lua(kling.map(print, { 1, 2 }))lua",
     R"lua(kling: film.lua:2: kling.map takes a list and a function
  do: write kling.map(list, function(item, i) return … end)
)lua",
     ""},
    {"",
     R"lua(local clips = kling.map({ "A fox" }, function(animal)
  kling.text2video { prompt = animal }:wait()
end)
kling.concat(clips, "film.mp4"))lua",
     R"lua(kling: film.lua:5: concat got an empty list
  do: the function that made the clips, or that kling.map was given, has to return them
)lua",
     ""},
    {"",
     R"lua(local clips = kling.map({ "A fox" }, function(animal)
  kling.text2video { prompt = animal }:wait()
end)
clips[1]:save("fox.mp4"))lua",
     R"lua(kling: film.lua:5: attempt to index a nil value (field 'integer index')
  do: the list has no such item: the first is [1]; did a function for kling.map forget its return?
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.concat({ clip }))lua",
     R"lua(kling: film.lua:3: concat wants the path of the film
  do: write kling.concat({ one, two }, "film.mp4")
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.concat(clip, "film.mp4"))lua",
     R"lua(kling: film.lua:3: concat takes a list of clips first
  do: write kling.concat({ one, two }, "film.mp4")
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.concat({ clip }, "film.mp4", { music = "song.mp3" }))lua",
     R"lua(kling: film.lua:3: concat: unknown option music, did you mean audio?
  do: it knows audio, crossfade, fade, fit, fps, mix, size
)lua",
     ""},
    {"", R"lua(kling.sleep("a while"))lua",
     R"lua(kling: film.lua:2: bad argument #1 to 'sleep' (number expected, got string)
  do: write kling.sleep(seconds)
)lua",
     ""},
    {"", R"lua(kling.configure { max_cost = 5 })lua",
     R"lua(kling: film.lua:2: there is no option max_cost
  do: write budget = 5, limits = { jobs = 3 }
)lua",
     ""},
    {"", R"lua(local film = require "Kling")lua",
     R"lua(kling: film.lua:2: module 'Kling' not found
  do: did you mean require "kling"?
)lua",
     ""},
    {"", R"lua(!kling.text2video { prompt = "A fox" })lua",
     R"lua(kling: film.lua:1: attempt to index a nil value (global 'kling')
  do: begin with: local kling = require "kling"
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video("A fox")
print(kling.pick("Which?", { job }).job.prompt))lua",
     "",
     R"lua(A fox
)lua"},
    {"", R"lua(kling.text2video { "A fox", duration = 5 })lua",
     R"lua(kling: film.lua:2: text2video takes one table, got a value without its field's name
  do: write kling.text2video { prompt = "…", duration = 5 }
)lua",
     ""},
    {"",
     R"lua(local function shot() kling.text2video("A fox"):wait() end
shot():save("fox.mp4"))lua",
     R"lua(kling: film.lua:3: attempt to index a nil value
  do: is it spelt as where it was set? does its function have a return?
)lua",
     ""},
    {"",
     R"lua(local function shot() kling.text2video("A fox"):wait() end
kling.concat(shot(), "film.mp4"))lua",
     R"lua(kling: film.lua:3: concat takes a list of clips first
  do: if a function gave the list, does it have a return?
)lua",
     ""},
    {"",
     R"lua(local function shot() kling.text2video("A fox"):wait() end
kling.concat({ shot(), shot() }, "film.mp4"))lua",
     R"lua(kling: film.lua:3: concat got an empty list
  do: the function that made the clips, or that kling.map was given, has to return them
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.concat({ clip }, "film.avi"))lua",
     R"lua(kling: film.lua:3: film.avi: a clip is an MP4
  do: name it film.mp4
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.concat({ clip }, "film"))lua",
     R"lua(kling: film.lua:3: film: a clip is an MP4
  do: name it film.mp4
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.timeline({ clip }, "film.mp4"))lua",
     R"lua(kling: film.lua:3: film.mp4: a timeline is named .otio
  do: name it film.otio
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.concat({ clip }, "film.mp4", { crossfade = "0.5" }))lua",
     R"lua(kling: film.lua:3: concat: crossfade is "0.5"
  do: it wants a number from 0 to 60
)lua",
     ""},
    {"",
     R"lua(io.open("shots.csv", "w"):write("A fox,5\nA crow,10\n"):close()
kling.csv("shots.csv"))lua",
     R"lua(kling: film.lua:3: shots.csv: row 1, column 2: the first row names the columns, such as prompt,duration
)lua",
     ""},
    {"",
     R"lua(io.open("shots.csv", "w"):write("prompt\n"):close()
kling.csv("shots.csv"))lua",
     R"lua(kling: film.lua:3: shots.csv has no rows below its first
  do: the first row names the columns, such as prompt,duration
)lua",
     ""},
    {"",
     R"lua(io.open("shots.csv", "w"):write("prompt,duration\nA fox,5\nA crow,77\n"):close()
for _, row in ipairs(kling.csv("shots.csv")) do kling.text2video { prompt = row.prompt, duration = row.duration } end)lua",
     R"lua(kling: film.lua:3: text2video: duration = 77; the limit is at most 15 seconds (shots.csv, row 3)
  do: Length in seconds: 5 or 10; kling-v3: 3 to 15. 5 is sent when none is given.
)lua",
     ""},
    {"", R"lua(concat({}, "film.mp4"))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'concat')
  do: did you mean kling.concat?
)lua",
     ""},
    {"", R"lua(save("fox.mp4"))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'save')
  do: write clip:save(…): it belongs to the clip
)lua",
     ""},
    {"",
     R"lua(local one, two = kling.all { kling.text2video("A fox"), kling.text2video("A crow") }
two:save("crow.mp4"))lua",
     R"lua(kling: film.lua:3: attempt to index a nil value (local 'two')
  do: it was given no value; a function that gives one needs a return; kling.all gives one table
)lua",
     ""},
    {"",
     R"lua(local both = kling.all { kling.text2video("A fox"), kling.text2video("A crow") }
both:save("crow.mp4"))lua",
     R"lua(kling: film.lua:3: attempt to call a nil value (method 'save')
  do: this is no clip: save gives a path; an item of a list is list[1]:save(…)
)lua",
     ""},
    {"", R"lua(kling.approve({ kling.text2video("A fox") }, "Go on?"))lua",
     R"lua(kling: film.lua:2: approve wants the question first, as text
  do: write kling.approve("Is it good?", { clip })
)lua",
     ""},
    {"", R"lua(kling.ask({ "day", "night" }, "When?"))lua",
     R"lua(kling: film.lua:2: ask wants the question first, as text
  do: write kling.ask("Day or night?", { "day", "night" })
)lua",
     ""},
    {"",
     R"lua(local function shot() return kling.text2video { promt = "A fox" } end
local function scene() return shot() end
scene())lua",
     R"lua(kling: film.lua:2: text2video: there is no field promt
  do: write prompt = "…"
stack traceback:
	film.lua:2: in function <film.lua:2>
	film.lua:4: in main chunk
)lua",
     ""},
    {"", R"lua(error("", 0))lua",
     R"lua(kling: an error without a text
)lua",
     ""},
    {"",
     R"lua(io.open("shots.csv", "w"):write("PROMPT|NAME\nA fox|one\n"):close()
print(kling.csv("shots.csv")[1].prompt))lua",
     "",
     R"lua(A fox
)lua"},
    {"",
     R"lua(io.open("shots.csv", "w"):write("prompt,name\nA fox,one\n,two\n"):close()
for _, row in ipairs(kling.csv("shots.csv")) do kling.text2video(row) end)lua",
     R"lua(kling: film.lua:3: text2video: prompt is missing (shots.csv, row 3)
  do: describe the shot, for example prompt = "A red kite over a beach"
)lua",
     ""},
    {"",
     R"lua(io.open("shots.csv", "w"):write("prompt,notes\nA fox,red\n"):close()
for _, row in ipairs(kling.csv("shots.csv")) do kling.text2video(row) end)lua",
     R"lua(kling: film.lua:3: text2video: there is no field notes (shots.csv, row 2)
  do: the first row names the columns, such as prompt,duration; of others take what belongs here: { prompt = row.prompt }
)lua",
     ""},
    {"", R"lua(kling.text2video("A fox", "A crow"))lua",
     R"lua(kling: film.lua:2: text2video takes one table, got two arguments
  do: write kling.text2video { prompt = "…", duration = 5 }
)lua",
     ""},
    {"", R"lua(kling.image2video("hero.png", "It runs"))lua",
     R"lua(kling: film.lua:2: image2video takes one table, got two arguments
  do: write kling.image2video { image = "hero.png", prompt = "…" }
)lua",
     ""},
    {"", R"lua(kling.text2video(arg[1]))lua",
     R"lua(kling: film.lua:2: text2video takes one table, got nil
  do: the value in its brackets is nil; a list begins at [1], as do the words behind the script, arg[1]
)lua",
     ""},
    {"", R"lua(kling.text2video:new("A fox"))lua",
     R"lua(kling: film.lua:2: attempt to index a function value (field 'text2video')
  do: a function is called first: kling.text2video { … }:wait(), clip:probe()
)lua",
     ""},
    {"", R"lua(kling { prompt = "A fox" })lua",
     R"lua(kling: film.lua:2: attempt to call a table value (local 'kling')
  do: write kling.text2video { … }
)lua",
     ""},
    {"", R"lua(kling.map({ fox = "A fox" }, kling.text2video))lua",
     R"lua(kling: film.lua:2: kling.map takes a list, and got a table of named values
  do: write { one, two } without names
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
kling.concat({ job }, "out/"))lua",
     R"lua(kling: film.lua:3: out/: a clip is an MP4
  do: name it out/film.mp4
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
kling.concat({ job }, "film.mp4", "song.wav"))lua",
     R"lua(kling: film.lua:3: concat takes options by name
  do: write kling.concat({ one, two }, "film.mp4", { audio = "song.mp3" })
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
kling.concat({ job }, "film.mp4", { audio = job }))lua",
     R"lua(kling: film.lua:3: audio is a Job
  do: write job:wait().path
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.concat({ clip }, "film.mp4", { audio = clip }))lua",
     R"lua(kling: film.lua:3: audio is a picture or clip, which cannot be sent here
  do: give the path of a file, such as clip.path
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.concat({ clip }, "film.mp4", { audio = "~/song.mp3" }))lua",
     R"lua(kling: film.lua:3: no such file: ~/song.mp3
  do: write os.getenv("HOME") .. "/song.mp3"
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.concat({ clip }, "film.mp4", { audio = "https://example.org/song.mp3" }))lua",
     R"lua(kling: film.lua:3: no such file: https://example.org/song.mp3
  do: an address is no file: download it first
)lua",
     ""},
    {"",
     R"lua(local clips = kling.all { kling.text2video("A fox"), kling.text2video("A crow") }
clips[0]:save("fox.mp4"))lua",
     R"lua(kling: film.lua:3: attempt to index a nil value (field 'integer index')
  do: the list has no such item: the first is [1]; did a function for kling.map forget its return?
)lua",
     ""},
    {"",
     R"lua(io.open("shots.csv", "w"):write("promt,duration\nA fox,5\n"):close()
for _, row in ipairs(kling.csv("shots.csv")) do kling.text2video(row) end)lua",
     R"lua(kling: film.lua:3: text2video: there is no field promt (shots.csv, row 2)
  do: call the column prompt
)lua",
     ""},
    {"", R"lua(local helpers = require "helpers")lua",
     R"lua(kling: film.lua:2: module 'helpers' not found
  do: a file helpers.lua beside the script is found
)lua",
     ""},
    {"", R"lua(local helpers = require "helpers.lua")lua",
     R"lua(kling: film.lua:2: module 'helpers.lua' not found
  do: write require "helpers"
)lua",
     ""},
    {"",
     R"lua(io.open("helpers.lua", "w"):write("local take = = 2\n"):close()
dofile("helpers.lua"))lua",
     R"lua(kling: film.lua:3: helpers.lua:1: unexpected symbol near '='
  local take = = 2
               ^
)lua",
     ""},
    {"", R"lua(dofile("helper.lua"))lua",
     R"lua(kling: film.lua:2: cannot open helper.lua: No such file or directory
  do: check the path; relative ones start at the working folder
)lua",
     ""},
    {"",
     R"lua(io.open("shots.csv", "w"):write("Prompt;Aspect Ratio\nA fox;9:16\n"):close()
print(kling.csv("shots.csv")[1].aspect_ratio))lua",
     "",
     R"lua(9:16
)lua"},
    {"",
     R"lua(io.open("shots.csv", "w"):write("prompt,\nA fox,5\n"):close()
for _, row in ipairs(kling.csv("shots.csv")) do kling.text2video(row) end)lua",
     R"lua(kling: film.lua:3: shots.csv: row 2, column 2: "5" has no name above it
  do: write one into row 1
)lua",
     ""},
    {"",
     R"lua(io.open("shots.csv", "w"):write("prompt,Prompt\nA fox,5\n"):close()
for _, row in ipairs(kling.csv("shots.csv")) do kling.text2video(row) end)lua",
     R"lua(kling: film.lua:3: shots.csv: row 1, column prompt: two columns have this name
)lua",
     ""},
    {"",
     R"lua(io.open("shots.csv", "w"):write("prompt,image\nA fox,hero.png\n"):close()
for _, row in ipairs(kling.csv("shots.csv")) do kling.image2video(row) end)lua",
     R"lua(kling: film.lua:3: image2video: image: no such file: hero.png (shots.csv, row 2)
  do: check the path; relative ones start at the working folder
)lua",
     ""},
    {"",
     R"lua(io.open("shots.csv", "w"):write("prompt;cfg_scale\nA fox;0,5\n"):close()
for _, row in ipairs(kling.csv("shots.csv")) do kling.text2video(row) end)lua",
     R"lua(kling: film.lua:3: text2video: cfg_scale must be a number, got "0,5" (shots.csv, row 2)
  do: write 0.5
)lua",
     ""},
    {"",
     R"lua(io.open("shots.csv", "w"):write("prompt,image\nA fox,hero.png\n"):close()
for _, row in ipairs(kling.csv("shots.csv")) do kling.text2video(row) end)lua",
     R"lua(kling: film.lua:3: text2video: there is no field image (shots.csv, row 2)
  do: kling.image2video starts from a picture: image = …
)lua",
     ""},
    {"", R"lua(kling.csv("shots.csv", { sep = ";" }))lua",
     R"lua(kling: film.lua:2: the path stands alone: there are no options
  do: leave out what follows it; the form of the file is found out
)lua",
     ""},
    {"", R"lua(print(kling.json('{ "takes": 3 }').takes))lua", "",
     R"lua(3
)lua"},
    {"",
     R"lua(io.open("film.json", "w"):write('{\n  "takes": 3,\n}'):close()
kling.json("film.json"))lua",
     R"lua(kling: film.lua:3: film.json is not JSON: line 3, column 1
  do: names stand in double quotes, no comma behind the last item, no comments
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:save("out"))lua",
     R"lua(kling: film.lua:3: out has no ending
  do: name it out.mp4, or for a folder out/
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:last_frame():save("fox"))lua",
     R"lua(kling: film.lua:3: fox has no ending
  do: name it fox.png, or for a folder fox/
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "@Image1 walks", strict = true })lua",
     R"lua(kling: film.lua:2: text2video: @Image1 is no reference the service knows
  do: kling.omni refers to what it is given: image_list = { … }, and <<<image_1>>> in the prompt
)lua",
     ""},
    {"",
     R"lua(kling.omni { prompt = "<<image_1>> walks", image_list = { "fox.png" }, strict = true })lua",
     R"lua(kling: film.lua:2: omni: <<image_1>> is no reference the service knows
  do: write <<<image_1>>>
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "<<<image_1>>> walks" })lua",
     R"lua(kling: film.lua:2: text2video: prompt refers to <<<image_1>>>, but 0 images are given
  do: kling.omni takes image_list = { … } (or put them into extra, which is sent unchecked)
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:still(3))lua",
     R"lua(kling: film.lua:3: a Clip has no still
  do: write kling.still(clip, { at = 2, seconds = 3 })
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:concat(clip))lua",
     R"lua(kling: film.lua:3: a Clip has no concat
  do: write kling.concat(parts, path, options?)
)lua",
     ""},
    {"", R"lua(kling.still("title.png", { second = 3 }))lua",
     R"lua(kling: film.lua:2: still: unknown option second, did you mean seconds?
  do: it knows seconds, at
)lua",
     ""},
    {"", R"lua(kling.still("title.png", { seconds = "3" }))lua",
     R"lua(kling: film.lua:2: still: seconds is "3"
  do: it wants a number from 0.01 to 3600
)lua",
     ""},
    {"",
     R"lua(local file = io.open("shots.txt")
for line in file:lines() do print(line) end)lua",
     R"lua(kling: film.lua:3: attempt to index a nil value (local 'file')
  do: io.open gives nil where there is no such file: assert(io.open(path)) says why
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.concat({ clip }, "film.mp4", { on_progress = print }))lua",
     R"lua(kling: film.lua:3: on_progress is a function, which cannot be sent
  do: on_progress goes to job:wait, kling.all and kling.map
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", mode = "4k" })lua",
     R"lua(kling: film.lua:2: text2video: kling-v2-6 has no mode 4k
  do: offered: kling-v2-6 (mode std or pro; 5 or 10 s), kling-v3 (mode std or pro or 4k; 3 to 15 s)
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", name = "" })lua",
     R"lua(kling: film.lua:2: name is empty
  do: write name = "shot 3"
)lua",
     ""},
    {"",
     R"lua(local shots = { "A fox", "A crow" }
for i = 0, #shots - 1 do kling.text2video(shots[i]) end)lua",
     R"lua(kling: film.lua:3: text2video takes one table, got nil
  do: the value in its brackets is nil; a list begins at [1], as do the words behind the script, arg[1]
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
kling.sheet({ clip }, 3))lua",
     R"lua(kling: film.lua:3: sheet takes options by name
  do: write kling.sheet({ one, two }, { columns = 3 })
)lua",
     ""},
    {"", R"lua(kling.bytes("fox.png"):save("fox.png"))lua",
     R"lua(kling: film.lua:2: kling.bytes is text, no video, picture or sound that can be read
  do: it takes the bytes of a PNG or JPEG, such as clip:last_frame():bytes()
)lua",
     ""},
    {"", R"lua(kling.configure { take = 2 })lua",
     R"lua(kling: film.lua:2: option take takes a text
  do: write take = "2"
)lua",
     ""},
    {"",
     R"lua(local job = kling.text2video { prompt = "A fox" }
job:wait { 60 })lua",
     R"lua(kling: film.lua:3: wait takes timeout and on_progress, not '?'
  do: write job:wait { timeout = 60 }
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
print(clip:frame(99)))lua",
     R"lua(kling: film.lua:3: frame: 99 s is no time of this clip, which is 5.0 s long
  do: write clip:frame(2.5), in seconds from its start; the end is clip:last_frame()
)lua",
     ""},
    {"", R"lua(error({ code = 1 }))lua",
     R"lua(kling: film.lua:2: error without a text (table)
  do: error wants a text: error("…"), or kling.json(value)
)lua",
     ""},
    {"",
     R"lua(local function shot() kling.text2video { promt = "A fox" } end
kling.all { fox = function() shot() end })lua",
     R"lua(kling: film.lua:2: text2video: there is no field promt
  do: write prompt = "…"
stack traceback:
	film.lua:2: in upvalue 'shot'
	film.lua:3: in function <film.lua:3>
	film.lua:3: in main chunk
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
print(clip.probe.width))lua",
     R"lua(kling: film.lua:3: attempt to index a function value (field 'probe')
  do: a function is called first: kling.text2video { … }:wait(), clip:probe()
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video { prompt = "A fox" }:wait()
clip:trim())lua",
     R"lua(kling: film.lua:3: trim: nil to its end is no part of this clip, which is 5.0 s long
  do: write clip:trim(1, 4), in seconds from its start
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", aspect_ratio = "portrait" })lua",
     R"lua(kling: film.lua:2: text2video: aspect_ratio = "portrait" is not one of: 16:9, 9:16, 1:1, 4:3, 3:4, 3:2, 2:3
  do: 9:16 is upright, 16:9 is wide, 1:1 is square
)lua",
     ""},
    {"",
     R"lua(local ok, problem = pcall(kling.text2video, { promt = "A fox" })
print(problem.mesage))lua",
     R"lua(kling: film.lua:3: an Error has no mesage
  do: did you mean message?
)lua",
     ""},
    {"", R"lua(kling.timeout(1, function() kling.sleep(60) end))lua",
     R"lua(kling: film.lua:2: task main/1 was still running when the wait timed out
  do: give it more seconds; what it sent goes on, and the next run finds it
)lua",
     ""},
    {"", R"lua(kling.all(kling.text2video("A fox"), kling.text2video("A crow")))lua",
     R"lua(kling: film.lua:2: kling.all takes a table of jobs, tasks and functions
  do: write kling.all { one, two }
)lua",
     ""},
    {"", R"lua(kling.clip("intro.mp4"))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (field 'clip')
  do: a path is a part of a film: kling.concat({ "intro.mp4", clip }, "film.mp4")
)lua",
     ""},
    {"", R"lua(kling.text_to_video("A fox"))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (field 'text_to_video')
  do: write kling.text2video { prompt = "…" }
)lua",
     ""},
    {"", R"lua(kling.wait_all { kling.text2video("A fox") })lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (field 'wait_all')
  do: write kling.all { one, two }
)lua",
     ""},
    {"", R"lua(kling.lip_sync { video = "fox.mp4" })lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (field 'lip_sync')
  do: kling makes videos; kling.request reaches what else the service has
)lua",
     ""},
    {"", R"lua(kling.budget(5))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (field 'budget')
  do: write kling.configure { budget = 5 }
)lua",
     ""},
    {"", R"lua(kling.undo())lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (field 'undo')
  do: kling has text2video, image2video, multi_image2video, omni, query, job, request, image, bytes, still, concat, timeline, sheet, pick, approve, ask, all, any, map, spawn, sleep, timeout, notify, log, csv, json, configure, client
)lua",
     ""},
    {"", R"lua(kling.key = "sk-123")lua",
     R"lua(kling: film.lua:2: kling.key is no field that can be set
  do: write kling.configure { key = … }
)lua",
     ""},
    {"", R"lua(kling.api_key = "sk-123")lua",
     R"lua(kling: film.lua:2: kling.api_key is no field that can be set
  do: write kling.configure { key = … }
)lua",
     ""},
    {"", R"lua(kling.configure { api_key = "sk-123" })lua",
     R"lua(kling: film.lua:2: there is no option api_key
  do: write key = …, or kling login in the shell
)lua",
     ""},
    {"", R"lua(kling.configure { budget = "$5" })lua",
     R"lua(kling: film.lua:2: option budget takes a number of dollars, { usd = …, jobs = … } or false, not "$5"
  do: write budget = 5, without $ and quotes
)lua",
     ""},
    {"", R"lua(klng.text2video("A fox"))lua",
     R"lua(kling: film.lua:2: attempt to index a nil value (global 'klng')
  do: did you mean kling?
)lua",
     ""},
    {"", R"lua(local helpers = require "./masks")lua",
     R"lua(kling: film.lua:2: module './masks' not found
  do: write require "masks"
)lua",
     ""},
    {"", R"lua(local mask = require "lib/mask")lua",
     R"lua(kling: film.lua:2: module 'lib/mask' not found
  do: write require "lib.mask"
)lua",
     ""},
    {"",
     R"lua(io.open("helpers.lua", "w"):write("local M = { takes = 3 }\n"):close()
local helpers = require "helpers"
print(helpers.takes))lua",
     R"lua(kling: film.lua:4: attempt to index a boolean value (local 'helpers')
  do: it is true or false; a file that require reads ends with return and what it gives
)lua",
     ""},
    {"", R"lua(kling.spawn("A fox"))lua",
     R"lua(kling: film.lua:2: spawn takes a function
  do: write kling.spawn(function() … end)
)lua",
     ""},
    {"", R"lua(kling.map({ "A fox" }, print, { limit = "2" }))lua",
     R"lua(kling: film.lua:2: kling.map: limit is a number, 1 or more, and was given "2"
  do: write { limit = 2 }
)lua",
     ""},
    {"", R"lua(kling.map({ { prompt = "A fox" }, { promt = "A crow" } }, kling.text2video))lua",
     R"lua(kling: film.lua:2: text2video: there is no field promt
  do: write prompt = "…"
)lua",
     ""},
    {"",
     R"lua(io.open("shots.csv", "w"):write("# my shots\nprompt\nA fox\n"):close()
kling.map(kling.csv("shots.csv"), kling.text2video))lua",
     R"lua(kling: film.lua:3: shots.csv: row 1, column 1: # begins no comment here; take the row out, or write "#…"
)lua",
     ""},
    {"",
     R"lua(io.open("shots.csv", "w"):write("prompt,duration,model_name,multi_shot\nA fox,5.0,kling-v3,FALSE\n"):close()
print(kling.text2video(kling.csv("shots.csv")[1]):wait():save("fox.mp4")))lua",
     "",
     R"lua(fox.mp4
)lua"},
    {"", R"lua(kling.text2video(kling.csv("shots.csv")))lua",
     R"lua(kling: film.lua:2: text2video takes one table, got a list
  do: write for _, row in ipairs(rows) do kling.text2video(row) end
)lua",
     ""},
    {"", R"lua(for row in ipairs({ { prompt = "A fox" } }) do kling.text2video(row) end)lua",
     R"lua(kling: film.lua:2: text2video takes one table, got number
  do: write for _, row in ipairs(rows) do kling.text2video(row) end
)lua",
     ""},
    {"", R"lua(kling.pick("Which?", { "a fox", "a crow" }))lua",
     R"lua(kling: film.lua:2: pick: item 1 is a string; it takes clips, images and jobs
  do: write kling.ask("Day or night?", { "day", "night" })
)lua",
     ""},
    {"", R"lua(kling.approve("Go on?"))lua",
     R"lua(kling: film.lua:2: approve wants a list of clips after the question
  do: write kling.approve("Is it good?", { clip })
)lua",
     ""},
    {"", R"lua(kling.timeout("5", print))lua",
     R"lua(kling: film.lua:2: kling.timeout takes a number of seconds and a function
  do: write kling.timeout(60, function() … end)
)lua",
     ""},
    {"", R"lua(kling.json())lua",
     R"lua(kling: film.lua:2: json wants a path, a text of JSON or a value
  do: write kling.json("shots.json")
)lua",
     ""},
    {"", R"lua(kling.json({ "a fox", takes = 3 }))lua",
     R"lua(kling: film.lua:2: the value mixes a list with named fields
  do: write { one, two } or { name = one }, one of both
)lua",
     ""},
    {"",
     R"lua(local ok, problem = pcall(kling.text2video, { promt = "A fox" })
if problem:match("promt") then print("a slip") end)lua",
     R"lua(kling: film.lua:3: an Error has no match
  do: as text: tostring(e)
)lua",
     ""},
    {"",
     R"lua(local ok, problem = pcall(kling.text2video, { promt = "A fox" })
print(problem.msg))lua",
     R"lua(kling: film.lua:3: an Error has no msg
  do: write e.message
)lua",
     ""},
    {"",
     R"lua(local ok, problem = pcall(kling.text2video, { promt = "A fox" })
print(problem:kind()))lua",
     R"lua(kling: film.lua:3: attempt to call a string value (method 'kind')
  do: it is a string: write .kind without brackets
)lua",
     ""},
    {"", R"lua(kling.audio("song.mp3"))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (field 'audio')
  do: write kling.concat(clips, "film.mp4", { audio = "song.mp3" })
)lua",
     ""},
    {"", R"lua(kling.crossfade("one.mp4", "two.mp4"))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (field 'crossfade')
  do: write kling.concat(clips, "film.mp4", { crossfade = 0.5, fade = 1 })
)lua",
     ""},
    {"", R"lua(kling.text("The end"))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (field 'text')
  do: kling draws no text: make a picture of it, then kling.still("title.png", { seconds = 3 })
)lua",
     ""},
    {"", R"lua(kling.render("film.mp4"))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (field 'render')
  do: write kling.concat({ one, two }, "film.mp4")
)lua",
     ""},
    {"", R"lua(kling.view())lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (field 'view')
  do: that is for the shell: kling plan film.lua, kling run --sim film.lua, kling view film.lua
)lua",
     ""},
    {"", R"lua(kling.configure { upload = "https://example.org/" })lua",
     R"lua(kling: film.lua:2: option upload takes a function that is given a path and returns an address, not "https://example.org/"
  do: write upload = function(path) … return url end
)lua",
     ""},
    {"The fields of a request", R"lua(kling.text2video { duration = 5 })lua",
     R"lua(kling: film.lua:2: text2video: prompt is missing
  do: describe the shot, for example prompt = "A red kite over a beach"
)lua",
     ""},
    {"", R"lua(kling.text2video { promt = "A fox" })lua",
     R"lua(kling: film.lua:2: text2video: there is no field promt
  do: write prompt = "…"
)lua",
     ""},
    {"", R"lua(kling.text2video { promt = "A fox", length = 5 })lua",
     R"lua(kling: film.lua:2: text2video: 2 fields are wrong
  there is no field length
    do: write duration = 5
  there is no field promt
    do: write prompt = "…"
)lua",
     ""},
    {"", R"lua(kling.text2video { text = "A fox" })lua",
     R"lua(kling: film.lua:2: text2video: there is no field text
  do: write prompt = "…"
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", image = "fox.png" })lua",
     R"lua(kling: film.lua:2: text2video: there is no field image
  do: kling.image2video starts from a picture: image = …
)lua",
     ""},
    {"", R"lua(kling.image2video { image = "fox.png", aspect_ratio = "16:9" })lua",
     R"lua(kling: film.lua:2: image2video: there is no field aspect_ratio
  do: leave it out: the picture decides the shape
)lua",
     ""},
    {"", R"lua(kling.image2video { start_image = "fox.png" })lua",
     R"lua(kling: film.lua:2: image2video: there is no field start_image
  do: write image = …
)lua",
     ""},
    {"", R"lua(kling.image2video { first_frame = "fox.png" })lua",
     R"lua(kling: film.lua:2: image2video: there is no field first_frame
  do: write image = …
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", ratio = "9:16" })lua",
     R"lua(kling: film.lua:2: text2video: there is no field ratio
  do: write aspect_ratio = "16:9"
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", resolution = "1080p" })lua",
     R"lua(kling: film.lua:2: text2video: there is no field resolution
  do: mode = "pro" is 1080p, mode = "std" is 720p, "4k" needs kling-v3; aspect_ratio is the shape
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", quality = "high" })lua",
     R"lua(kling: film.lua:2: text2video: there is no field quality
  do: mode = "pro" is 1080p, mode = "std" is 720p, "4k" needs kling-v3; aspect_ratio is the shape
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", size = "1280x720" })lua",
     R"lua(kling: film.lua:2: text2video: there is no field size
  do: mode = "pro" is 1080p, mode = "std" is 720p, "4k" needs kling-v3; aspect_ratio is the shape
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", seed = 7 })lua",
     R"lua(kling: film.lua:2: text2video: there is no field seed
  do: Kling has no such setting: leave it out
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", fps = 30 })lua",
     R"lua(kling: film.lua:2: text2video: there is no field fps
  do: Kling has no such setting: leave it out
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", length = 5 })lua",
     R"lua(kling: film.lua:2: text2video: there is no field length
  do: write duration = 5
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", seconds = 5 })lua",
     R"lua(kling: film.lua:2: text2video: there is no field seconds
  do: write duration = 5
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", n = 3 })lua",
     R"lua(kling: film.lua:2: text2video: there is no field n
  do: one request makes one clip: ask again with take = 2, take = 3, …
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", sound = true })lua",
     R"lua(kling: film.lua:2: text2video: sound must be "on" or "off", got true
  do: give "on" or "off"
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = 7 })lua",
     R"lua(kling: film.lua:2: text2video: prompt must be text, got 7
  do: write it in quotes: prompt = "7"
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = { "A fox" } })lua",
     R"lua(kling: film.lua:2: text2video: prompt must be text, got a list
  do: give text
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", cfg_scale = "much" })lua",
     R"lua(kling: film.lua:2: text2video: cfg_scale must be a number, got "much"
  do: give a number
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", duration = "long" })lua",
     R"lua(kling: film.lua:2: text2video: duration must be whole seconds, such as 5 or "5", got "long"
  do: give whole seconds, such as 5 or "5"
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", duration = 7 })lua",
     R"lua(kling: film.lua:2: text2video: kling-v2-6 makes no clips of 7 s
  do: offered: kling-v2-6 (mode std or pro; 5 or 10 s), kling-v3 (mode std or pro or 4k; 3 to 15 s)
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", mode = "1080p" })lua",
     R"lua(kling: film.lua:2: text2video: mode = "1080p" is not one of: std, pro, 4k
  do: mode = "pro" is 1080p, mode = "std" is 720p, "4k" needs kling-v3; aspect_ratio is the shape
)lua",
     ""},
    {"",
     R"lua(kling.text2video { prompt = "A fox", model_name = "kling-v2-5-trubo", strict = true })lua",
     R"lua(kling: film.lua:2: text2video: model_name = "kling-v2-5-trubo" is not one of: kling-v2-6, kling-v2-5-turbo, kling-v3, kling-v2-1-master, kling-v2-master, kling-v1-6, kling-v1
  do: did you mean kling-v2-5-turbo?
)lua",
     ""},
    {"",
     R"lua(print(kling.text2video { prompt = "A fox", duration = "5", cfg_scale = "0.5" }:wait():save("fox.mp4")))lua",
     "",
     R"lua(fox.mp4
)lua"},
    {"", R"lua(kling.text2video { prompt = "A fox", lenght = 5 })lua",
     R"lua(kling: film.lua:2: text2video: there is no field lenght
  do: write duration = 5
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", duration = 0 })lua",
     R"lua(kling: film.lua:2: text2video: duration = 0; the limit is at least 3 seconds
  do: Length in seconds: 5 or 10; kling-v3: 3 to 15. 5 is sent when none is given.
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", sound = "yes" })lua",
     R"lua(kling: film.lua:2: text2video: sound = "yes" is not one of: on, off
  do: give "on" or "off"
)lua",
     ""},
    {"",
     R"lua(kling.text2video { prompt = "A fox", duration = 99, mode = "best", sound = "yes" })lua",
     R"lua(kling: film.lua:2: text2video: 3 fields are wrong
  mode = "best" is not one of: std, pro, 4k
    do: mode = "pro" is 1080p, mode = "std" is 720p, "4k" needs kling-v3; aspect_ratio is the shape
  duration = 99; the limit is at most 15 seconds
    do: Length in seconds: 5 or 10; kling-v3: 3 to 15. 5 is sent when none is given.
  sound = "yes" is not one of: on, off
    do: give "on" or "off"
)lua",
     ""},
    {"",
     R"lua(local animal
kling.text2video { prompt = "A fox", name = animal.name })lua",
     R"lua(kling: film.lua:3: attempt to index a nil value (local 'animal')
  do: it was given no value; a function that gives one needs a return; kling.all gives one table
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", model_name = "v3" })lua",
     R"lua(kling: film.lua:2: text2video: model_name = "v3" is not one of: kling-v2-6, kling-v2-5-turbo, kling-v3, kling-v2-1-master, kling-v2-master, kling-v1-6, kling-v1
  do: did you mean kling-v3?
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", model_name = "v2.6" })lua",
     R"lua(kling: film.lua:2: text2video: model_name = "v2.6" is not one of: kling-v2-6, kling-v2-5-turbo, kling-v3, kling-v2-1-master, kling-v2-master, kling-v1-6, kling-v1
  do: did you mean kling-v2-6?
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", model_name = kling-v3 })lua",
     R"lua(kling: film.lua:2: attempt to perform arithmetic on a table value (local 'kling')
  do: a text stands in quotes: "kling-v3"
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", aspect_ratio = 16:9 })lua",
     R"lua(kling: film.lua:2: '}' expected near ':'
  kling.text2video { prompt = "A fox", aspect_ratio = 16:9 }
                                                        ^
  do: what is no plain number stands in quotes: "16:9", "4k"
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", mode = 4k })lua",
     R"lua(kling: film.lua:2: malformed number near '4k'
  kling.text2video { prompt = "A fox", mode = 4k }
                                              ^
  do: what is no plain number stands in quotes: "16:9", "4k"
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = A fox })lua",
     R"lua(kling: film.lua:2: '}' expected near 'fox'
  kling.text2video { prompt = A fox }
                                ^
  do: is a comma missing before fox? a text stands in quotes
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A " + animal })lua",
     R"lua(kling: film.lua:2: attempt to add a 'string' with a 'nil'
  do: texts are joined with ..: "A " .. name; filled in with text:format(3)
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A " .. arg[1] })lua",
     R"lua(kling: film.lua:2: attempt to concatenate a nil value (field 'integer index')
  do: there is no such item: a list begins at [1], as do the words behind the script, arg[1]
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = f"A {animal}" })lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'f')
  do: a function is made above its first call; Lua puts no {name} into a text: "A " .. name
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = `A fox` })lua",
     R"lua(kling: film.lua:2: unexpected symbol near '`'
  kling.text2video { prompt = `A fox` }
                              ^
  do: use straight quotes: "…"; a text over several lines stands in [[…]]
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A " .. $animal })lua",
     R"lua(kling: film.lua:2: unexpected symbol near '$'
  kling.text2video { prompt = "A " .. $animal }
                                      ^
  do: a name has no $: write "A " .. animal
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", take = true })lua",
     R"lua(kling: film.lua:2: take is a text or a number
  do: write take = 2
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", name = { "shot" } })lua",
     R"lua(kling: film.lua:2: name is a text or a number
  do: write name = "shot 3"
)lua",
     ""},
    {"", R"lua(kling.image2video { image = "C:\Users\me\fox.png" })lua",
     R"lua(kling: film.lua:2: invalid escape sequence near '"C:\U'
  kling.image2video { image = "C:\Users\me\fox.png" }
                              ^
  do: in a text \ begins a special character: write / in a path, \\ for one \
)lua",
     ""},
    {"",
     R"lua(local name = "fox"
kling.text2video { prompt = name.upper() })lua",
     R"lua(kling: film.lua:3: bad argument #1 to 'upper' (string expected, got no value)
  do: a text has its methods behind a colon: name:upper()
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", mode = pro })lua",
     R"lua(kling: film.lua:2: mode = pro: the global pro is nil
  do: a text stands in quotes: mode = "pro"
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", multi_shot = True })lua",
     R"lua(kling: film.lua:2: multi_shot = True: the global True is nil
  do: write multi_shot = true
)lua",
     ""},
    {"", R"lua(kling.text2video { promptText = "A fox" })lua",
     R"lua(kling: film.lua:2: text2video: there is no field promptText
  do: write prompt = "…"
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", promptImage = "fox.png" })lua",
     R"lua(kling: film.lua:2: text2video: there is no field promptImage
  do: kling.image2video starts from a picture: image = …
)lua",
     ""},
    {"", R"lua(kling.image2video { image = "fox.png", tail_image_url = "den.png" })lua",
     R"lua(kling: film.lua:2: image2video: there is no field tail_image_url
  do: write image_tail = …
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", durationSeconds = 5 })lua",
     R"lua(kling: film.lua:2: text2video: there is no field durationSeconds
  do: write duration = 5
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", guidanceScale = 7 })lua",
     R"lua(kling: film.lua:2: text2video: there is no field guidanceScale
  do: write cfg_scale = 0.5
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", loop = true })lua",
     R"lua(kling: film.lua:2: text2video: there is no field loop
  do: Kling has no such setting: leave it out
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", title = "fox" })lua",
     R"lua(kling: film.lua:2: text2video: there is no field title
  do: write name = "…"
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", takes = 3 })lua",
     R"lua(kling: film.lua:2: text2video: there is no field takes
  do: a request makes one: write two, with take = 1 and take = 2
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", watermark = true })lua",
     R"lua(kling: film.lua:2: text2video: there is no field watermark
  do: write watermark_info = { enabled = true }
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", camera_control = "zoom_in" })lua",
     R"lua(kling: film.lua:2: text2video: camera_control must be a table, got "zoom_in"
  do: write camera_control = { type = "simple", config = { zoom = 5 } }
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", camera = "zoom in" })lua",
     R"lua(kling: film.lua:2: text2video: there is no field camera
  do: say it in the prompt: "slow zoom in"; kling-v1 takes camera_control = { type = "simple", config = { zoom = 5 } }
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", model_name = "kling-v3-omni" })lua",
     R"lua(kling: film.lua:2: text2video: model_name = "kling-v3-omni" is not one of: kling-v2-6, kling-v2-5-turbo, kling-v3, kling-v2-1-master, kling-v2-master, kling-v1-6, kling-v1
  do: it is a model of kling.omni
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", model_name = "2.6" })lua",
     R"lua(kling: film.lua:2: text2video: model_name = "2.6" is not one of: kling-v2-6, kling-v2-5-turbo, kling-v3, kling-v2-1-master, kling-v2-master, kling-v1-6, kling-v1
  do: did you mean kling-v2-6?
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", model_name = "wan-2.5" })lua",
     R"lua(kling: film.lua:2: text2video: model_name = "wan-2.5" is not one of: kling-v2-6, kling-v2-5-turbo, kling-v3, kling-v2-1-master, kling-v2-master, kling-v1-6, kling-v1
  do: give one of these, or leave it out
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", duration = 0/0 })lua",
     R"lua(kling: film.lua:2: duration is not a finite number
  do: something was divided by zero, or has grown without an end
)lua",
     ""},
    {"", R"lua(kling.text2video { "prompt" = "A fox" })lua",
     R"lua(kling: film.lua:2: '}' expected near '='
  kling.text2video { "prompt" = "A fox" }
                              ^
  do: a field's name stands without quotes: { prompt = "…" }
)lua",
     ""},
    {"", R"lua(kling.text2video { "prompt" => "A fox" })lua",
     R"lua(kling: film.lua:2: '}' expected near '='
  kling.text2video { "prompt" => "A fox" }
                              ^
  do: a field is written name = value: { prompt = "…" }
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", aspect-ratio = "16:9" })lua",
     R"lua(kling: film.lua:2: '}' expected near '='
  kling.text2video { prompt = "A fox", aspect-ratio = "16:9" }
                                                    ^
  do: a name has _ in place of -: negative_prompt = …
)lua",
     ""},
    {"", R"lua(kling.text2video(prompt = "A fox", duration = 5))lua",
     R"lua(kling: film.lua:2: ')' expected near '='
  kling.text2video(prompt = "A fox", duration = 5)
                          ^
  do: named values stand in { and }: kling.text2video { prompt = "…" }
)lua",
     ""},
    {"", R"lua(kling.text2video prompt = "A fox")lua",
     R"lua(kling: film.lua:2: syntax error near 'prompt'
  kling.text2video prompt = "A fox"
                   ^
  do: named values stand in { and }: kling.text2video { prompt = "…" }
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox"， duration = 5 })lua",
     R"lua(kling: film.lua:2: '}' expected near '<\239>'
  kling.text2video { prompt = "A fox"， duration = 5 }
                                     ^
  do: there is a wide sign in this line: type it anew, as in , ( ) :
)lua",
     ""},
    {"",
     R"lua(local look = { mode = "pro" }
kling.text2video { ...look, prompt = "A fox" })lua",
     R"lua(kling: film.lua:3: '}' expected near 'look'
  kling.text2video { ...look, prompt = "A fox" }
                        ^
  do: Lua spreads no table: for name, value in pairs(t) do copy[name] = value end
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = 'It's a fox' })lua",
     R"lua(kling: film.lua:2: '}' expected near 's'
  kling.text2video { prompt = 'It's a fox' }
                                  ^
  do: the text ends at the ' inside of it: put it in double quotes
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = """A fox""" })lua",
     R"lua(kling: film.lua:2: '}' expected near '"A fox"'
  kling.text2video { prompt = """A fox""" }
                                ^
  do: a text over several lines stands in [[ and ]]
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "灯台守", name = "灯" duration = 5 })lua",
     R"lua(kling: film.lua:2: '}' expected near 'duration'
  kling.text2video { prompt = "灯台守", name = "灯" duration = 5 }
                                                    ^
  do: is a comma missing before duration?
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", name = "fox\xff" })lua",
     R"lua(kling: film.lua:2: name is not UTF-8 text (at byte 4)
  do: save the script as UTF-8
)lua",
     ""},
    {"", R"lua(kling.text2video({ prompt = "A fox" }:wait())lua",
     R"lua(kling: film.lua:2: ')' expected near ':'
  kling.text2video({ prompt = "A fox" }:wait()
                                       ^
  do: is a ) missing before the colon?
)lua",
     ""},
    {"", R"lua(kling text2video { prompt = "A fox" })lua",
     R"lua(kling: film.lua:2: syntax error near 'text2video'
  kling text2video { prompt = "A fox" }
        ^
  do: a dot is missing: kling.text2video { … }
)lua",
     ""},
    {"", R"lua(kling.image2video { image = "fox.png", last_frame = "den.png" })lua",
     R"lua(kling: film.lua:2: image2video: there is no field last_frame
  do: image = … is what the clip begins with, image_tail = … what it ends with
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", model = "v3" })lua",
     R"lua(kling: film.lua:2: text2video: model = "v3" is not one of: kling-v2-6, kling-v2-5-turbo, kling-v3, kling-v2-1-master, kling-v2-master, kling-v1-6, kling-v1
  do: did you mean kling-v3?
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", model = 3 })lua",
     R"lua(kling: film.lua:2: text2video: model must be text, got 3
  do: write it in quotes: model = "3"
)lua",
     ""},
    {"Lua itself", R"lua(kling.text2video { prompt = “A fox” })lua",
     R"lua(kling: film.lua:2: unexpected symbol near '<\226>'
  kling.text2video { prompt = “A fox” }
                              ^
  do: use straight quotes: "…"; a text over several lines stands in [[…]]
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt: "A fox" })lua",
     R"lua(kling: film.lua:2: <name> expected near '"A fox"'
  kling.text2video { prompt: "A fox" }
                             ^
  do: in a table a field is written name = value, not name: value
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox" duration = 5 })lua",
     R"lua(kling: film.lua:2: '}' expected near 'duration'
  kling.text2video { prompt = "A fox" duration = 5 }
                                      ^
  do: is a comma missing before duration?
)lua",
     ""},
    {"",
     R"lua(kling.text2video {
  prompt = "A fox"
  duration = 5,
})lua",
     R"lua(kling: film.lua:4: '}' expected (to close '{' at line 2) near 'duration'
    duration = 5,
    ^
  do: is a comma missing before duration?
)lua",
     ""},
    {"", R"lua(if mode != "pro" then mode = "std" end)lua",
     R"lua(kling: film.lua:2: 'then' expected near '!'
  if mode != "pro" then mode = "std" end
          ^
  do: Lua's "not equal" is ~=
)lua",
     ""},
    {"", R"lua(shots += 1)lua",
     R"lua(kling: film.lua:2: syntax error near '+'
  shots += 1
        ^
  do: Lua has no +=, no ++: write x = x + 1
)lua",
     ""},
    {"",
     R"lua(for i = 1, 3 do
  print(i))lua",
     R"lua(kling: film.lua:4: 'end' expected (to close 'for' at line 2) near <eof>
  do: what "for" began in line 2 is not closed
)lua",
     ""},
    {"",
     R"lua(// the first shot
kling.text2video { prompt = "A fox" })lua",
     R"lua(kling: film.lua:2: syntax error near 'shot'
  // the first shot
               ^
  do: a comment begins with --
)lua",
     ""},
    {"",
     R"lua(local shots = { "A fox", "A crow" }
for shot in shots do kling.text2video(shot) end)lua",
     R"lua(kling: film.lua:3: attempt to call a table value (for iterator 'for iterator')
  do: write for i, item in ipairs(list) do
)lua",
     ""},
    {"", R"lua(print("take " .. take))lua",
     R"lua(kling: film.lua:2: attempt to concatenate a nil value (global 'take')
  do: a value was never set: is it spelt as where it was set?
)lua",
     ""},
    {"", R"lua(local clip:save("fox.mp4"))lua",
     R"lua(kling: film.lua:2: unexpected symbol near ':'
  local clip:save("fox.mp4")
            ^
  do: leave out local: it names something new
)lua",
     ""},
    {"",
     R"lua(local prompt = "A fox
kling.text2video(prompt))lua",
     R"lua(kling: film.lua:2: unfinished string near '"A fox'
  local prompt = "A fox
                 ^
  do: close this text with a quote; several lines stand in [[ and ]]
)lua",
     ""},
    {"", R"lua(if take = 5 then print("five") end)lua",
     R"lua(kling: film.lua:2: 'then' expected near '='
  if take = 5 then print("five") end
          ^
  do: to compare two values, write ==
)lua",
     ""},
    {"", R"lua(for i = 1, 2 do print(i) end end)lua",
     R"lua(kling: film.lua:2: <eof> expected near 'end'
  for i = 1, 2 do print(i) end end
                               ^
  do: this end is one too many
)lua",
     ""},
    {"", R"lua(!local kling = require kling)lua",
     R"lua(kling: film.lua:2: syntax error near <eof>
  do: write require "kling", in quotes
)lua",
     ""},
    {"", R"lua(local shots = 3 // three of them)lua",
     R"lua(kling: film.lua:2: syntax error near 'them'
  local shots = 3 // three of them
                              ^
  do: a comment begins with --
)lua",
     ""},
    {"", R"lua(local shots = 3 // three)lua",
     R"lua(kling: film.lua:2: attempt to perform arithmetic on a nil value (global 'three')
  do: a comment begins with --; a text, such as a path, stands in quotes
)lua",
     ""},
    {"",
     R"lua(kling.text2video { prompt = "A fox", duration = 5
print("sent"))lua",
     R"lua(kling: film.lua:3: '}' expected (to close '{' at line 2) near 'print'
  print("sent")
  ^
  do: is a comma missing before print, or a } missing after line 2?
)lua",
     ""},
    {"",
     R"lua(kling.text2video { prompt = "A fox"
local film = "film.mp4")lua",
     R"lua(kling: film.lua:3: '}' expected (to close '{' at line 2) near 'local'
  local film = "film.mp4"
  ^
  do: is a } missing after line 2?
)lua",
     ""},
    {"",
     R"lua(print(kling.text2video("A fox")
local film = "film.mp4")lua",
     R"lua(kling: film.lua:3: ')' expected (to close '(' at line 2) near 'local'
  local film = "film.mp4"
  ^
  do: is a ) missing after line 2?
)lua",
     ""},
    {"", R"lua(print("take" 5))lua",
     R"lua(kling: film.lua:2: ')' expected near '5'
  print("take" 5)
               ^
  do: is a comma missing before 5, or a )?
)lua",
     ""},
    {"", R"lua(kling.text2video [ prompt = "A fox" ])lua",
     R"lua(kling: film.lua:2: ']' expected near '='
  kling.text2video [ prompt = "A fox" ]
                            ^
  do: a table stands in { and }, not in [ and ]
)lua",
     ""},
    {"", R"lua(local shots = ["A fox", "A crow"])lua",
     R"lua(kling: film.lua:2: unexpected symbol near '['
  local shots = ["A fox", "A crow"]
                ^
  do: a table stands in { and }, not in [ and ]
)lua",
     ""},
    {"",
     R"lua(local shots = { "A fox", "A crow" }
print(len(shots)))lua",
     R"lua(kling: film.lua:3: attempt to call a nil value (global 'len')
  do: #list counts a list: for i = 1, #list do
)lua",
     ""},
    {"",
     R"lua(local shots = { "A fox", "A crow" }
for i = 1, shots.length do print(shots[i]) end)lua",
     R"lua(kling: film.lua:3: bad 'for' limit (number expected, got nil)
  do: #list counts a list: for i = 1, #list do; tonumber(x) reads a number
)lua",
     ""},
    {"",
     R"lua(local shots = {}
shots.append("A fox"))lua",
     R"lua(kling: film.lua:3: attempt to call a nil value (field 'append')
  do: write table.insert(t, x), table.remove(t), table.sort(t), table.concat(t, ", ")
)lua",
     ""},
    {"",
     R"lua(local shots = { "A fox", "A crow" }
print("Shots: " .. shots))lua",
     R"lua(kling: film.lua:3: attempt to concatenate a table value (local 'shots')
  do: as text: tostring(x); of a list: table.concat(list, ", ")
)lua",
     ""},
    {"",
     R"lua(local shots = { "A fox", "A crow" }
print(shots(1)))lua",
     R"lua(kling: film.lua:3: attempt to call a table value (local 'shots')
  do: only a function is called; an item is list[1]; is a comma or .. missing before it?
)lua",
     ""},
    {"", R"lua(for _, shot in ipairs(shots) do print(shot) end)lua",
     R"lua(kling: film.lua:2: attempt to index a nil value
  do: is it spelt as where it was set? does its function have a return?
)lua",
     ""},
    {"", R"lua(print(#shots))lua",
     R"lua(kling: film.lua:2: attempt to get length of a nil value (global 'shots')
  do: a value was never set: is it spelt as where it was set?
)lua",
     ""},
    {"",
     R"lua(for i in range(3):
  kling.text2video("A fox"))lua",
     R"lua(kling: film.lua:3: function arguments expected near '.'
    kling.text2video("A fox")
         ^
  do: write for … do … end, while … do … end, if … then … end, function name(…) … end
)lua",
     ""},
    {"", R"lua(for i in range(3) do print(i) end)lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'range')
  do: write for i = 1, 3 do … end
)lua",
     ""},
    {"",
     R"lua(for i, shot in ipairs({ "A fox" })
  print(shot)
end)lua",
     R"lua(kling: film.lua:3: 'do' expected near 'print'
    print(shot)
    ^
  do: write for … do … end, while … do … end, if … then … end, function name(…) … end
)lua",
     ""},
    {"", R"lua(while true { print("again") })lua",
     R"lua(kling: film.lua:2: 'do' expected near '{'
  while true { print("again") }
             ^
  do: write for … do … end, while … do … end, if … then … end, function name(…) … end
)lua",
     ""},
    {"",
     R"lua(function shot() {
  return 1
})lua",
     R"lua(kling: film.lua:2: unexpected symbol near '{'
  function shot() {
                  ^
  do: write for … do … end, while … do … end, if … then … end, function name(…) … end
)lua",
     ""},
    {"",
     R"lua(def shot():
  return kling.text2video("A fox"))lua",
     R"lua(kling: film.lua:2: syntax error near 'shot'
  def shot():
      ^
  do: write for … do … end, while … do … end, if … then … end, function name(…) … end
)lua",
     ""},
    {"", R"lua(local shot = (animal) => kling.text2video(animal))lua",
     R"lua(kling: film.lua:2: unexpected symbol near '='
  local shot = (animal) => kling.text2video(animal)
                        ^
  do: a function is written function(x) return … end
)lua",
     ""},
    {"",
     R"lua(local take = 1
if take == 1 then print("one") else if take == 2 then print("two") end)lua",
     R"lua(kling: film.lua:4: 'end' expected (to close 'if' at line 3) near <eof>
  do: write elseif, in one word; else if wants an end of its own
)lua",
     ""},
    {"",
     R"lua(for i = 1, 3 do
  if i == 2 then
    continue
  end
end)lua",
     R"lua(kling: film.lua:5: syntax error near 'end'
    end
    ^
  do: Lua has no continue: put the rest of the loop into if … then … end
)lua",
     ""},
    {"",
     R"lua(switch (take)
print("one"))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'switch')
  do: write if … then … elseif … then … else … end
)lua",
     ""},
    {"",
     R"lua(try
  kling.text2video("A fox")
catch problem
end)lua",
     R"lua(kling: film.lua:3: syntax error near 'kling'
    kling.text2video("A fox")
    ^
  do: write local ok, problem = pcall(function() … end)
)lua",
     ""},
    {"",
     R"lua(local take = 1
take++)lua",
     R"lua(kling: film.lua:3: syntax error near '+'
  take++
      ^
  do: Lua has no +=, no ++: write x = x + 1
)lua",
     ""},
    {"", R"lua(local mode = best ? "pro" : "std")lua",
     R"lua(kling: film.lua:2: unexpected symbol near '?'
  local mode = best ? "pro" : "std"
                    ^
  do: Lua has no a ? b : c: write a and b or c
)lua",
     ""},
    {"",
     R"lua(local pro, long = true, true
if pro && long then print("dear") end)lua",
     R"lua(kling: film.lua:3: unexpected symbol near '&'
  if pro && long then print("dear") end
          ^
  do: Lua writes and, or, not
)lua",
     ""},
    {"",
     R"lua(local pro, long = true, true
if pro || long then print("dear") end)lua",
     R"lua(kling: film.lua:3: unexpected symbol near '|'
  if pro || long then print("dear") end
          ^
  do: Lua writes and, or, not
)lua",
     ""},
    {"", R"lua(if !done then print("wait") end)lua",
     R"lua(kling: film.lua:2: unexpected symbol near '!'
  if !done then print("wait") end
     ^
  do: Lua writes and, or, not
)lua",
     ""},
    {"", R"lua(if mode is "pro" then print("dear") end)lua",
     R"lua(kling: film.lua:2: 'then' expected near 'is'
  if mode is "pro" then print("dear") end
          ^
  do: to compare two values, write ==
)lua",
     ""},
    {"", R"lua(if mode === "pro" then print("dear") end)lua",
     R"lua(kling: film.lua:2: unexpected symbol near '='
  if mode === "pro" then print("dear") end
            ^
  do: to compare two values, write ==
)lua",
     ""},
    {"", R"lua(local take := 2)lua",
     R"lua(kling: film.lua:2: unexpected symbol near ':'
  local take := 2
             ^
  do: write = instead of :=
)lua",
     ""},
    {"",
     R"lua(# my film
kling.text2video("A fox"))lua",
     R"lua(kling: film.lua:2: unexpected symbol near '#'
  # my film
  ^
  do: a comment begins with --
)lua",
     ""},
    {"", R"lua(var shot = kling.text2video("A fox"))lua",
     R"lua(kling: film.lua:2: syntax error near 'shot'
  var shot = kling.text2video("A fox")
      ^
  do: a new name begins with local: local shot = …
)lua",
     ""},
    {"", R"lua(const shot = kling.text2video("A fox"))lua",
     R"lua(kling: film.lua:2: syntax error near 'shot'
  const shot = kling.text2video("A fox")
        ^
  do: a new name begins with local: local shot = …
)lua",
     ""},
    {"",
     R"lua(import kling
kling.text2video("A fox"))lua",
     R"lua(kling: film.lua:2: syntax error near 'kling'
  import kling
         ^
  do: begin with: local kling = require "kling"
)lua",
     ""},
    {"", R"lua(from kling import text2video)lua",
     R"lua(kling: film.lua:2: syntax error near 'kling'
  from kling import text2video
       ^
  do: begin with: local kling = require "kling"
)lua",
     ""},
    {"", R"lua(lcoal take = 2)lua",
     R"lua(kling: film.lua:2: syntax error near 'take'
  lcoal take = 2
        ^
  do: did you mean local?
)lua",
     ""},
    {"",
     R"lua(local function shot(animal)
  return kling.text2video(animal)
  print("sent")
end)lua",
     R"lua(kling: film.lua:4: 'end' expected (to close 'function' at line 2) near 'print'
    print("sent")
    ^
  do: return is the last line of its block; or an end is missing above
)lua",
     ""},
    {"", R"lua(pritn("done"))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'pritn')
  do: did you mean print?
)lua",
     ""},
    {"",
     R"lua(local function make_shot(animal) return kling.text2video(animal) end
mkae_shot("A fox"))lua",
     R"lua(kling: film.lua:3: attempt to call a nil value (global 'mkae_shot')
  do: did you mean make_shot?
)lua",
     ""},
    {"",
     R"lua(local length = "5"
if length > 3 then print("long") end)lua",
     R"lua(kling: film.lua:3: attempt to compare number with string
  do: compare numbers with numbers; tonumber(x) makes one of a text
)lua",
     ""},
    {"", R"lua(if takes > 3 then print("many") end)lua",
     R"lua(kling: film.lua:2: attempt to compare number with nil
  do: a value was never set: is it spelt as where it was set?
)lua",
     ""},
    {"", R"lua(print("take %d" % 3))lua",
     R"lua(kling: film.lua:2: attempt to mod a 'string' with a 'number'
  do: texts are joined with ..: "A " .. name; filled in with text:format(3)
)lua",
     ""},
    {"",
     R"lua(local print = nil
print("done"))lua",
     R"lua(kling: film.lua:3: attempt to call a nil value (local 'print')
  do: it was given no function, or another value since
)lua",
     ""},
    {"", R"lua(exit())lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'exit')
  do: write os.exit(1), or error("why")
)lua",
     ""},
    {"",
     R"lua(!```lua
print("A fox")
```)lua",
     R"lua(kling: film.lua:1: unexpected symbol near '`'
  ```lua
  ^
  do: leave out the lines with ```: they belong to the page, not to the script
)lua",
     ""},
    {"", R"lua(!kling> print("A fox"))lua",
     R"lua(kling: film.lua:1: syntax error near '>'
  kling> print("A fox")
       ^
  do: leave out the prompt kling>; a command such as kling run is for the shell
)lua",
     ""},
    {"", R"lua(!$ kling run film.lua)lua",
     R"lua(kling: film.lua:1: unexpected symbol near '$'
  $ kling run film.lua
  ^
  do: leave out the prompt kling>; a command such as kling run is for the shell
)lua",
     ""},
    {"",
     R"lua(local shot = {}
print(shot.takes + 1))lua",
     R"lua(kling: film.lua:3: attempt to perform arithmetic on a nil value (field 'takes')
  do: a value was never set: is it spelt as where it was set?
)lua",
     ""},
    {"",
     R"lua(local take = 5
print(take:format()))lua",
     R"lua(kling: film.lua:3: attempt to index a number value (local 'take')
  do: it has no fields and methods; as text: tostring(x)
)lua",
     ""},
    {"", R"lua(print(("Shot %d of %s"):format(1)))lua",
     R"lua(kling: film.lua:2: bad argument #2 to 'format' (no value)
  do: each %d and %s in the text wants a value of its own
)lua",
     ""},
    {"", R"lua(print(("Shot %d"):format("one")))lua",
     R"lua(kling: film.lua:2: bad argument #1 to 'format' (number expected, got string)
  do: %d wants a number; %s takes any value
)lua",
     ""},
    {"",
     R"lua(local take = 2
if take == 1 then print("one") elif take == 2 then print("two") end)lua",
     R"lua(kling: film.lua:3: syntax error near 'take'
  if take == 1 then print("one") elif take == 2 then print("two") end
                                      ^
  do: write if … then … elseif … then … else … end
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "She says "hello" to him" })lua",
     R"lua(kling: film.lua:2: '}' expected near 'hello'
  kling.text2video { prompt = "She says "hello" to him" }
                                         ^
  do: the text ends at the " before hello: inside of a text write \"
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = [[A fox })lua",
     R"lua(kling: film.lua:3: unfinished long string (starting at line 2) near <eof>
  do: what begins with [[ ends with ]]
)lua",
     ""},
    {"", R"lua(local fucntion shot() return kling.text2video("A fox") end)lua",
     R"lua(kling: film.lua:2: <eof> expected near 'end'
  local fucntion shot() return kling.text2video("A fox") end
                                                         ^
  do: write local function name(…) … end
)lua",
     ""},
    {"", R"lua(kling.text2video("A fox") please)lua",
     R"lua(kling: film.lua:3: syntax error near <eof>
  do: the last word alone is no statement: name(…) calls, name = … sets
)lua",
     ""},
    {"", R"lua(local clip = await kling.text2video("A fox"))lua",
     R"lua(kling: film.lua:2: Lua has no await
  do: write job:wait(): kling.text2video { … }:wait()
)lua",
     ""},
    {"", R"lua(local client = new kling.client { take = "b" })lua",
     R"lua(kling: film.lua:2: Lua has no new
  do: leave it out
)lua",
     ""},
    {"", R"lua(console.log("done"))lua",
     R"lua(kling: film.lua:2: attempt to index a nil value (global 'console')
  do: write print(x); filled in: print(("take %d"):format(3))
)lua",
     ""},
    {"", R"lua(printf("take %d", 3))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'printf')
  do: write print(x); filled in: print(("take %d"):format(3))
)lua",
     ""},
    {"",
     R"lua(local best = true
local mode = best ? 1 : 2)lua",
     R"lua(kling: film.lua:3: unexpected symbol near '?'
  local mode = best ? 1 : 2
                    ^
  do: Lua has no a ? b : c: write a and b or c
)lua",
     ""},
    {"", R"lua(print("A fox" .. nil))lua",
     R"lua(kling: film.lua:2: attempt to concatenate a nil value
  do: what is joined by .. has no value: leave it out
)lua",
     ""},
    {"", R"lua(for i in 1..3 do print(i) end)lua",
     R"lua(kling: film.lua:2: malformed number near '1..3'
  for i in 1..3 do print(i) end
           ^
  do: write for i = 1, 3 do … end, or for i, item in ipairs(list) do … end
)lua",
     ""},
    {"", R"lua(for i = 1 to 3 do print(i) end)lua",
     R"lua(kling: film.lua:2: ',' expected near 'to'
  for i = 1 to 3 do print(i) end
            ^
  do: write for i = 1, 3 do … end, or for i, item in ipairs(list) do … end
)lua",
     ""},
    {"", R"lua(for (i = 0; i < 3; i++) { print(i) })lua",
     R"lua(kling: film.lua:2: <name> expected near '('
  for (i = 0; i < 3; i++) { print(i) }
      ^
  do: write for i = 1, 3 do … end, or for i, item in ipairs(list) do … end
)lua",
     ""},
    {"", R"lua(foreach shot in shots do print(shot) end)lua",
     R"lua(kling: film.lua:2: syntax error near 'shot'
  foreach shot in shots do print(shot) end
          ^
  do: write for i = 1, 3 do … end, or for i, item in ipairs(list) do … end
)lua",
     ""},
    {"", R"lua(local 1shot = "A fox")lua",
     R"lua(kling: film.lua:2: malformed number near '1s'
  local 1shot = "A fox"
        ^
  do: a name begins with a letter: shot1
)lua",
     ""},
    {"", R"lua(local shot-1 = "A fox")lua",
     R"lua(kling: film.lua:2: unexpected symbol near '-'
  local shot-1 = "A fox"
            ^
  do: a name has _ in place of -: negative_prompt = …
)lua",
     ""},
    {"", R"lua(local été = "A fox")lua",
     R"lua(kling: film.lua:2: <name> expected near '<\195>'
  local été = "A fox"
        ^
  do: a name has the letters a to z, digits and _; a text stands in quotes
)lua",
     ""},
    {"", R"lua(local end = 3)lua",
     R"lua(kling: film.lua:2: <name> expected near 'end'
  local end = 3
        ^
  do: this is a word of Lua's own: choose another name
)lua",
     ""},
    {"", R"lua(local takes: number = 3)lua",
     R"lua(kling: film.lua:2: unexpected symbol near ':'
  local takes: number = 3
             ^
  do: Lua has no types: leave out the colon and what follows it
)lua",
     ""},
    {"", R"lua(local cost = 2 ** 3)lua",
     R"lua(kling: film.lua:2: unexpected symbol near '*'
  local cost = 2 ** 3
                  ^
  do: a power is written 2 ^ 3
)lua",
     ""},
    {"", R"lua(local cost = 3 × 2)lua",
     R"lua(kling: film.lua:2: unexpected symbol near '<\195>'
  local cost = 3 × 2
                 ^
  do: write - for minus, * for times, / for divided by
)lua",
     ""},
    {"", R"lua(print x)lua",
     R"lua(kling: film.lua:2: syntax error near 'x'
  print x
        ^
  do: a call has brackets, such as print(x)
)lua",
     ""},
    {"", R"lua(print "A fox", "A crow")lua",
     R"lua(kling: film.lua:2: syntax error near ','
  print "A fox", "A crow"
               ^
  do: a call has brackets, such as print(x)
)lua",
     ""},
    {"", R"lua(raise "stop")lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'raise')
  do: write error("…")
)lua",
     ""},
    {"", R"lua(throw Error("stop"))lua",
     R"lua(kling: film.lua:2: syntax error near 'Error'
  throw Error("stop")
        ^
  do: write error("…")
)lua",
     ""},
    {"", R"lua(unless done then print("wait") end)lua",
     R"lua(kling: film.lua:2: syntax error near 'done'
  unless done then print("wait") end
         ^
  do: write if not … then … end
)lua",
     ""},
    {"",
     R"lua(class Film
end)lua",
     R"lua(kling: film.lua:2: syntax error near 'Film'
  class Film
        ^
  do: Lua has no classes: a table holds values, local function name(…) … end is a function
)lua",
     ""},
    {"",
     R"lua(for i = 1, 2 do
  print(i)
endfor)lua",
     R"lua(kling: film.lua:5: syntax error near <eof>
  do: a block ends with end alone
)lua",
     ""},
    {"", R"lua(break)lua",
     R"lua(kling: film.lua:3: break outside loop at line 2
  break
  ^
  do: break ends a loop: a function ends with return, the script with os.exit()
)lua",
     ""},
    {"",
     R"lua(for i = 1, 2 do
  if i == 1 then goto continue end
  print(i)
end)lua",
     R"lua(kling: film.lua:6: no visible label 'continue' for <goto> at line 3
    if i == 1 then goto continue end
                   ^
  do: goto needs ::name:: where it goes to, such as before the end of the loop
)lua",
     ""},
    {"",
     R"lua(do return end
return 3
print("done"))lua",
     R"lua(kling: film.lua:4: <eof> expected near 'print'
  print("done")
  ^
  do: return is the last line of its block: nothing follows it
)lua",
     ""},
    {"", R"lua(print("done")))lua",
     R"lua(kling: film.lua:2: unexpected symbol near ')'
  print("done"))
               ^
  do: it is one too many, or what it closes was not opened
)lua",
     ""},
    {"", R"lua(print("done",))lua",
     R"lua(kling: film.lua:2: unexpected symbol near ')'
  print("done",)
               ^
  do: leave out the comma before the )
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = })lua",
     R"lua(kling: film.lua:2: unexpected symbol near '}'
  kling.text2video { prompt = }
                              ^
  do: a value is missing behind the =
)lua",
     ""},
    {"",
     R"lua(local shots = { "A fox" }
print(shots.1))lua",
     R"lua(kling: film.lua:3: ')' expected near '.1'
  print(shots.1)
             ^
  do: an item of a list is list[1]
)lua",
     ""},
    {"", R"lua(if (takes = 3) then print("three") end)lua",
     R"lua(kling: film.lua:2: ')' expected near '='
  if (takes = 3) then print("three") end
            ^
  do: to compare two values, write ==
)lua",
     ""},
    {"", R"lua(kling.sleep(0) # wait)lua",
     R"lua(kling: film.lua:2: unexpected symbol near '#'
  kling.sleep(0) # wait
                 ^
  do: a comment begins with --
)lua",
     ""},
    {"", R"lua(local prompt = 'It's a fox')lua",
     R"lua(kling: film.lua:2: syntax error near 'a'
  local prompt = 'It's a fox'
                       ^
  do: the text ends at the ' inside of it: put it in double quotes
)lua",
     ""},
    {"", R"lua(assert(io.open("shots.txt")))lua",
     R"lua(kling: film.lua:2: shots.txt: No such file or directory
  do: check the path; relative ones start at the working folder
)lua",
     ""},
    {"A table's fields and numbers as other languages write them",
     R"lua(local a = kling.text2video("A fox"):wait()
kling.image2video { image: a:last_frame(), prompt: "It runs" })lua",
     R"lua(kling: film.lua:3: function arguments expected near ':'
  kling.image2video { image: a:last_frame(), prompt: "It runs" }
                              ^
  do: in a table a field is written name = value, not name: value
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", cfg_scale = 0,5 })lua",
     R"lua(kling: film.lua:2: text2video takes one table, got a value without its field's name
  do: numbers have a point: 2.5, not 2,5
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video("A fox"):wait()
clip:frame(2,5))lua",
     R"lua(kling: film.lua:3: a number too many stands in the brackets
  do: numbers have a point: 2.5, not 2,5
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video("A fox"):wait()
kling.concat({ clip, clip }, "film.mp4", { crossfade = 0,5 }))lua",
     R"lua(kling: film.lua:3: the value mixes a list with named fields
  do: numbers have a point: 2.5, not 2,5
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video("A fox"):wait()
clip:trim(0:01, 0:04))lua",
     R"lua(kling: film.lua:3: ')' expected near ':'
  clip:trim(0:01, 0:04)
             ^
  do: seconds are plain numbers: duration = 5, clip:trim(1, 4)
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", duration = 5 :wait())lua",
     R"lua(kling: film.lua:2: '}' expected near ':'
  kling.text2video { prompt = "A fox", duration = 5 :wait()
                                                    ^
  do: is a } missing before the colon?
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", duration = 5s })lua",
     R"lua(kling: film.lua:2: malformed number near '5s'
  kling.text2video { prompt = "A fox", duration = 5s }
                                                  ^
  do: seconds are plain numbers: duration = 5, clip:trim(1, 4)
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video("A fox"):wait() kling.concat({ clip, clip }, "film.mp4", audio = "song.mp3"))lua",
     R"lua(kling: film.lua:2: ')' expected near '='
   fox"):wait() kling.concat({ clip, clip }, "film.mp4", audio = "song.mp3")
                                                               ^
  do: named values stand in { and }: kling.text2video { prompt = "…" }
)lua",
     ""},
    {"",
     R"lua(local style = "red"
kling.text2video { prompt = "A fox" . style })lua",
     R"lua(kling: film.lua:3: '}' expected near '.'
  kling.text2video { prompt = "A fox" . style }
                                      ^
  do: texts are joined with ..: "A " .. name
)lua",
     ""},
    {"",
     R"lua(local place = { "snow" }
kling.text2video { prompt = "A fox in " .. tostring(place) })lua",
     R"lua(kling: film.lua:3: text2video: a table stands in the prompt, and is no text
  do: take a text of it, such as place[1] or place.name
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video("A fox"):wait()
local storm = kling.text2video("A storm"):wait()
kling.concat({ clip, strom }, "film.mp4"))lua",
     R"lua(kling: film.lua:4: strom in a list: the global strom is nil
  do: is it spelt as where it was set? a text stands in quotes; where it may be missing, write strom or nil
)lua",
     ""},
    {"",
     R"lua(local clips = {}
for i = 0, 1 do clips[i] = kling.text2video("A fox " .. i):wait() end
kling.concat(clips, "film.mp4"))lua",
     R"lua(kling: film.lua:4: concat takes a list, and got a table with the name 0 in it
  do: a list begins at 1: { one, two }
)lua",
     ""},
    {"", R"lua(kling.map({ [0] = "A fox", "A crow" }, kling.text2video))lua",
     R"lua(kling: film.lua:2: kling.map takes a list, and got a table with the name 0 in it
  do: a list begins at 1: { one, two }
)lua",
     ""},
    {"", R"lua(kling.ask("When?", { one = "dawn", two = "day" }))lua",
     R"lua(kling: film.lua:2: ask takes a list, and got a table of named values
  do: write { one, two } without names
)lua",
     ""},
    {"", R"lua(kling.ask("When?", { [0] = "dawn", "day", "night" }))lua",
     R"lua(kling: film.lua:2: ask takes a list, and got a table with the name 0 in it
  do: a list begins at 1: { one, two }
)lua",
     ""},
    {"",
     R"lua(local fox, crow = kling.all { kling.text2video("A fox"), kling.text2video("A crow") }
kling.concat({ fox, crow }, "film.mp4"))lua",
     R"lua(kling: film.lua:3: concat: item 1 is a table
  do: it takes clips, images and paths; kling.all and kling.map give one list
)lua",
     ""},
    {"",
     R"lua(for _, shot in ipairs { { "A fox", pro } } do kling.text2video { prompt = shot[1], mode = shot[2] } end)lua",
     R"lua(kling: film.lua:2: pro in a list: the global pro is nil
  do: is it spelt as where it was set? a text stands in quotes; where it may be missing, write pro or nil
)lua",
     ""},
    {"",
     R"lua(io.open("shots.csv", "w"):write("Prompt,Mode\nA fox,pro\n"):close()
for _, row in ipairs(kling.csv("shots.csv")) do print(row.Prompt, row.Mode, row.mode) end)lua",
     "",
     R"lua(A fox	pro	pro
)lua"},
    {"",
     R"lua(io.open("shots.csv", "w"):write("Prompt,Mode\nA fox,pro\n"):close()
for _, row in ipairs(kling.csv("shots.csv")) do row.Prompt = "A crow" print(row.Prompt, row.prompt) end)lua",
     "",
     R"lua(A crow	A crow
)lua"},
    {"",
     R"lua(MODE = pro
kling.text2video { prompt = "A fox", mode = MODE })lua",
     R"lua(kling: film.lua:2: MODE = pro: the global pro is nil
  do: a text stands in quotes: MODE = "pro"
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", callback = print })lua",
     R"lua(kling: film.lua:2: callback is a function, which cannot be sent
  do: it is an address; a function goes to job:on_done(function(clip, err) … end)
)lua",
     ""},
    {"Words of Python, JavaScript, Ruby and C#", R"lua(time.sleep(1))lua",
     R"lua(kling: film.lua:2: attempt to index a nil value (global 'time')
  do: write kling.sleep(seconds); os.time() is the clock, os.date() its text
)lua",
     ""},
    {"", R"lua(print(random.choice({ 1, 2 })))lua",
     R"lua(kling: film.lua:2: attempt to index a nil value (global 'random')
  do: write math.random(6), t[math.random(#t)]
)lua",
     ""},
    {"", R"lua(print(Math.floor(1.5)))lua",
     R"lua(kling: film.lua:2: attempt to index a nil value (global 'Math')
  do: write math.floor(x + 0.5), math.max(a, b)
)lua",
     ""},
    {"", R"lua(print(JSON.stringify({})))lua",
     R"lua(kling: film.lua:2: attempt to index a nil value (global 'JSON')
  do: kling.json(x) reads and writes JSON
)lua",
     ""},
    {"", R"lua(local dkjson = require "dkjson")lua",
     R"lua(kling: film.lua:2: module 'dkjson' not found
  do: kling.json(x) reads and writes JSON
)lua",
     ""},
    {"", R"lua(print(datetime.now()))lua",
     R"lua(kling: film.lua:2: attempt to index a nil value (global 'datetime')
  do: write kling.sleep(seconds); os.time() is the clock, os.date() its text
)lua",
     ""},
    {"", R"lua(print(sys.argv[1]))lua",
     R"lua(kling: film.lua:2: attempt to index a nil value (global 'sys')
  do: arg[1] is the first word behind the script; os.getenv("HOME"); os.exit(1)
)lua",
     ""},
    {"", R"lua(print(os.path.join("shots", "one.mp4")))lua",
     R"lua(kling: film.lua:2: attempt to index a nil value (field 'path')
  do: a path is a text: folder .. "/one.mp4"; io.open(path) gives its file, nil: there is none
)lua",
     ""},
    {"", R"lua(for _, row in ipairs(csv.reader("shots.csv")) do print(row) end)lua",
     R"lua(kling: film.lua:2: attempt to index a nil value (global 'csv')
  do: kling.csv("shots.csv") reads a table
)lua",
     ""},
    {"", R"lua(Promise.all({ kling.text2video("A fox") }))lua",
     R"lua(kling: film.lua:2: attempt to index a nil value (global 'Promise')
  do: write kling.all { one, two }
)lua",
     ""},
    {"", R"lua(print(re.match("A", "A fox")))lua",
     R"lua(kling: film.lua:2: attempt to index a nil value (global 're')
  do: write text:gsub("old", "new"), text:find("fox", 1, true), text:match("%d+")
)lua",
     ""},
    {"", R"lua(print(Object.keys({})))lua",
     R"lua(kling: film.lua:2: attempt to index a nil value (global 'Object')
  do: write for i, item in ipairs(list) do … end; pairs(t) goes through names
)lua",
     ""},
    {"", R"lua(import os)lua",
     R"lua(kling: film.lua:2: syntax error near 'os'
  import os
         ^
  do: leave it out: os, io, math, string and table are there; a file of yours: require "name"
)lua",
     ""},
    {"", R"lua(import time, random)lua",
     R"lua(kling: film.lua:2: syntax error near 'time'
  import time, random
         ^
  do: leave it out: os, io, math, string and table are there; a file of yours: require "name"
)lua",
     ""},
    {"", R"lua(import { text2video } from "kling")lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'import')
  do: begin with: local kling = require "kling"
)lua",
     ""},
    {"", R"lua(from kling import text2video)lua",
     R"lua(kling: film.lua:2: syntax error near 'kling'
  from kling import text2video
       ^
  do: begin with: local kling = require "kling"
)lua",
     ""},
    {"", R"lua(local one = str(5))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'str')
  do: write tostring(x), tonumber(x)
)lua",
     ""},
    {"", R"lua(local one = parseInt("5"))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'parseInt')
  do: write tostring(x), tonumber(x)
)lua",
     ""},
    {"", R"lua(local name = input("Which? "))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'input')
  do: write kling.ask("When?", { "day", "night" })
)lua",
     ""},
    {"", R"lua(for i, shot in enumerate({ "A fox" }) do print(i, shot) end)lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'enumerate')
  do: write for i, item in ipairs(list) do … end; pairs(t) goes through names
)lua",
     ""},
    {"", R"lua(print(round(1.5)))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'round')
  do: write math.floor(x + 0.5), math.max(a, b)
)lua",
     ""},
    {"", R"lua(print(math.randint(1, 6)))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (field 'randint')
  do: write math.random(6), t[math.random(#t)]
)lua",
     ""},
    {"", R"lua(local file = open("shots.txt"))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'open')
  do: a path is a text: folder .. "/one.mp4"; io.open(path) gives its file, nil: there is none
)lua",
     ""},
    {"", R"lua(local shots = list("abc"))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'list')
  do: a table is { 1, 2 }, or { name = 1 }
)lua",
     ""},
    {"",
     R"lua(local shots = {}
shots:insert("A fox"))lua",
     R"lua(kling: film.lua:3: attempt to call a nil value (method 'insert')
  do: write table.insert(t, x), table.remove(t), table.sort(t), table.concat(t, ", ")
)lua",
     ""},
    {"",
     R"lua(local shots = { "A fox" }
shots:sort())lua",
     R"lua(kling: film.lua:3: attempt to call a nil value (method 'sort')
  do: write table.insert(t, x), table.remove(t), table.sort(t), table.concat(t, ", ")
)lua",
     ""},
    {"",
     R"lua(local shots = { "A fox" }
shots.forEach(print))lua",
     R"lua(kling: film.lua:3: attempt to call a nil value (field 'forEach')
  do: write for i, item in ipairs(list) do … end; pairs(t) goes through names
)lua",
     ""},
    {"",
     R"lua(local shots = { "A fox" }
print(shots:slice(1, 2)))lua",
     R"lua(kling: film.lua:3: attempt to call a nil value (method 'slice')
  do: a part of a list: { table.unpack(list, 1, 2) }, of a text: text:sub(1, 2)
)lua",
     ""},
    {"",
     R"lua(local shots = { "A fox", "A crow" }
print(shots[1:2]))lua",
     R"lua(kling: film.lua:3: ']' expected near ':'
  print(shots[1:2])
               ^
  do: a part of a list: { table.unpack(list, 1, 2) }, of a text: text:sub(1, 2)
)lua",
     ""},
    {"",
     R"lua(local shots = { "A fox", "A crow" }
print(shots[1..2]))lua",
     R"lua(kling: film.lua:3: malformed number near '1..2'
  print(shots[1..2])
              ^
  do: a part of a list: { table.unpack(list, 1, 2) }, of a text: text:sub(1, 2)
)lua",
     ""},
    {"",
     R"lua(local text = "A fox, a crow"
for part in text:split(",") do print(part) end)lua",
     R"lua(kling: film.lua:3: attempt to call a nil value (method 'split')
  do: write for part in text:gmatch("[^,]+") do … end
)lua",
     ""},
    {"",
     R"lua(local text = "A fox"
print(text:replace("fox", "crow")))lua",
     R"lua(kling: film.lua:3: attempt to call a nil value (method 'replace')
  do: write text:gsub("old", "new"), text:find("fox", 1, true), text:match("%d+")
)lua",
     ""},
    {"",
     R"lua(local text = " A fox "
print(text:strip()))lua",
     R"lua(kling: film.lua:3: attempt to call a nil value (method 'strip')
  do: write text:match("^%s*(.-)%s*$")
)lua",
     ""},
    {"",
     R"lua(local text = "A fox"
if text.startsWith("A") then print(text) end)lua",
     R"lua(kling: film.lua:3: attempt to call a nil value (field 'startsWith')
  do: write text:gsub("old", "new"), text:find("fox", 1, true), text:match("%d+")
)lua",
     ""},
    {"",
     R"lua(local text = "A fox"
print(text:toUpperCase()))lua",
     R"lua(kling: film.lua:3: attempt to call a nil value (method 'toUpperCase')
  do: write text:upper(), text:lower(), ("take %d"):format(3)
)lua",
     ""},
    {"", R"lua(local words = "a,b":split(","))lua",
     R"lua(kling: film.lua:2: unexpected symbol near ':'
  local words = "a,b":split(",")
                     ^
  do: a text in quotes stands in brackets before its method: ("A fox"):upper(); # counts it
)lua",
     ""},
    {"", R"lua(print("A fox".upper()))lua",
     R"lua(kling: film.lua:2: ')' expected near '.'
  print("A fox".upper())
               ^
  do: a text in quotes stands in brackets before its method: ("A fox"):upper(); # counts it
)lua",
     ""},
    {"", R"lua(if "A fox".length > 3 then print("long") end)lua",
     R"lua(kling: film.lua:2: 'then' expected near '.'
  if "A fox".length > 3 then print("long") end
            ^
  do: a text in quotes stands in brackets before its method: ("A fox"):upper(); # counts it
)lua",
     ""},
    {"", R"lua(setTimeout(print, 5))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (global 'setTimeout')
  do: write kling.sleep(seconds); os.time() is the clock, os.date() its text
)lua",
     ""},
    {"", R"lua(kling->text2video("A fox"))lua",
     R"lua(kling: film.lua:2: syntax error near '-'
  kling->text2video("A fox")
       ^
  do: write kling.text2video { … }, job:wait()
)lua",
     ""},
    {"", R"lua(kling::text2video("A fox"))lua",
     R"lua(kling: film.lua:2: syntax error near '::'
  kling::text2video("A fox")
       ^
  do: write kling.text2video { … }, job:wait()
)lua",
     ""},
    {"", R"lua(local function shot(prompt, mode = "pro") end)lua",
     R"lua(kling: film.lua:2: ')' expected near '='
  local function shot(prompt, mode = "pro") end
                                   ^
  do: Lua has no defaults: mode = mode or "pro" is the first line of the function
)lua",
     ""},
    {"", R"lua(async function main() end)lua",
     R"lua(kling: film.lua:2: syntax error near 'function'
  async function main() end
        ^
  do: leave out async: a job runs by itself, and job:wait() gives its clip
)lua",
     ""},
    {"", R"lua(with open("shots.txt") as file:)lua",
     R"lua(kling: film.lua:2: syntax error near 'open'
  with open("shots.txt") as file:
       ^
  do: Lua has no with: local file = assert(io.open(path)) … file:close()
)lua",
     ""},
    {"",
     R"lua(local x = 1
x =+ 1)lua",
     R"lua(kling: film.lua:3: unexpected symbol near '+'
  x =+ 1
     ^
  do: Lua has no +=, no ++: write x = x + 1
)lua",
     ""},
    {"",
     R"lua(local x = 1
x == 5)lua",
     R"lua(kling: film.lua:3: syntax error near '=='
  x == 5
    ^
  do: one = sets a value: x = 5; two compare: if x == 5 then
)lua",
     ""},
    {"", R"lua(local f = function(x) x end)lua",
     R"lua(kling: film.lua:2: syntax error near 'end'
  local f = function(x) x end
                          ^
  do: a value alone is no statement: return x gives it back, name(…) calls
)lua",
     ""},
    {"", R"lua(print "take " .. 5)lua",
     R"lua(kling: film.lua:2: unexpected symbol near '..'
  print "take " .. 5
                ^
  do: a call in front of .. has brackets: print("a" .. x)
)lua",
     ""},
    {"",
     R"lua(local shots = { "A fox" }
print(shots[1))lua",
     R"lua(kling: film.lua:3: ']' expected near ')'
  print(shots[1)
               ^
  do: is a ] missing before it?
)lua",
     ""},
    {"", R"lua(print('It''s a fox'))lua",
     R"lua(kling: film.lua:2: ')' expected near ''s a fox''
  print('It''s a fox')
            ^
  do: the text ends at the ' inside of it: put it in double quotes
)lua",
     ""},
    {"", R"lua(kling.text2video "A fox", 5)lua",
     R"lua(kling: film.lua:2: syntax error near ','
  kling.text2video "A fox", 5
                          ^
  do: named values stand in { and }: kling.text2video { prompt = "…" }
)lua",
     ""},
    {"", R"lua(A heron lifts off from the lake at dawn)lua",
     R"lua(kling: film.lua:2: syntax error near 'heron'
  A heron lifts off from the lake at dawn
    ^
  do: if this is a prompt, write kling.text2video("…")
)lua",
     ""},
    {"", R"lua(kling.videos.generate { prompt = "A fox" })lua",
     R"lua(kling: film.lua:2: attempt to index a nil value (field 'videos')
  do: write kling.text2video { prompt = "…" }, kling.image2video { image = "hero.png" }
)lua",
     ""},
    {"", R"lua(kling.images.create { prompt = "A fox" })lua",
     R"lua(kling: film.lua:2: attempt to index a nil value (field 'images')
  do: write kling.text2video { prompt = "…" }, kling.image2video { image = "hero.png" }
)lua",
     ""},
    {"", R"lua(local text2video = require "kling.text2video")lua",
     R"lua(kling: film.lua:2: module 'kling.text2video' not found
  do: write local kling = require "kling": kling.text2video is in it
)lua",
     ""},
    {"", R"lua(kling.create_video("A fox"))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (field 'create_video')
  do: write kling.text2video { prompt = "…" }
)lua",
     ""},
    {"", R"lua(kling.read_csv("shots.csv"))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (field 'read_csv')
  do: write kling.csv("shots.csv")
)lua",
     ""},
    {"", R"lua(kling.upload("hero.png"))lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (field 'upload')
  do: write kling.configure { upload = function(path) … return url end }
)lua",
     ""},
    {"", R"lua(kling.balance())lua",
     R"lua(kling: film.lua:2: attempt to call a nil value (field 'balance')
  do: your account's page shows it; kling doctor checks the key
)lua",
     ""},
    {"", R"lua(kling.configure { sim = true })lua",
     R"lua(kling: film.lua:2: there is no option sim
  do: the command says so: kling run --sim film.lua, kling run --draft film.lua
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video("A fox"):wait()
if clip > 3 then print("long") end)lua",
     R"lua(kling: film.lua:3: attempt to compare number with kling.Clip
  do: write clip.duration > 3, or job:wait().duration > 3
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video("A fox"):wait()
clip:extend())lua",
     R"lua(kling: film.lua:3: a Clip has no extend
  do: write kling.image2video { image = clip:last_frame(), prompt = "…" }
)lua",
     ""},
    {"",
     R"lua(local clip = kling.text2video("A fox"):wait()
clip:save("shots/", "fox"))lua",
     R"lua(kling: film.lua:3: save takes one path
  do: write clip:save("shots/fox.mp4")
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", watermark_info = true })lua",
     R"lua(kling: film.lua:2: text2video: watermark_info must be a table, got true
  do: write watermark_info = { enabled = true }
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A fox", camera_control = { zoom = 5 } })lua",
     R"lua(kling: film.lua:2: text2video: there is no field camera_control.zoom
  do: write config = { zoom = … }
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = function() return "A fox" end })lua",
     R"lua(kling: film.lua:2: prompt is a function, which cannot be sent
  do: leave it out, or call it
)lua",
     ""},
    {"", R"lua(kling.image2video { image = { "one.png", "two.png" }, prompt = "It runs" })lua",
     R"lua(kling: film.lua:2: image2video: image must be a picture: a URL, a path, Base64 or an Image, got a list
  do: kling.omni takes several: image_list = { … }
)lua",
     ""},
    {"", R"lua(kling.omni { image_list = { "no.png" }, prompt = "It runs" })lua",
     R"lua(kling: film.lua:2: omni: image_list[1]: no such file: no.png
  do: check the path; relative ones start at the working folder
)lua",
     ""},
    {"", R"lua(kling.json("{}{}"))lua",
     R"lua(kling: film.lua:2: this text is not JSON: line 1, column 3
  do: several values are one list: [ … ], with commas between them
)lua",
     ""},
    {"", R"lua(kling.json(("["):rep(70) .. ("]"):rep(70)))lua",
     R"lua(kling: film.lua:2: this text has more than 64 tables inside of each other
)lua",
     ""},
    {"",
     R"lua(io.open("shots.csv", "w"):write("\n\n"):close()
kling.csv("shots.csv"))lua",
     R"lua(kling: film.lua:3: shots.csv is empty
  do: the first row names the columns, such as prompt,duration
)lua",
     ""},
    {"",
     R"lua(local row = {}
print(row.items.first))lua",
     R"lua(kling: film.lua:3: attempt to index a nil value (field 'items')
  do: it was given no value; a function that gives one needs a return; kling.all gives one table
)lua",
     ""},
    {"", R"lua(print(sum + 1))lua",
     R"lua(kling: film.lua:2: attempt to perform arithmetic on a nil value (global 'sum')
  do: a comment begins with --; a text, such as a path, stands in quotes
)lua",
     ""},
    {"",
     R"lua(local list = {}
print("A " .. list.title))lua",
     R"lua(kling: film.lua:3: attempt to concatenate a nil value (field 'title')
  do: a value was never set: is it spelt as where it was set?
)lua",
     ""},
    {"",
     R"lua(local input
input())lua",
     R"lua(kling: film.lua:3: attempt to call a nil value (local 'input')
  do: it was given no function, or another value since
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A heron", cfg_scale = 0.5 mode = "pro" })lua",
     R"lua(kling: film.lua:2: '}' expected near 'mode'
  kling.text2video { prompt = "A heron", cfg_scale = 0.5 mode = "pro" }
                                                         ^
  do: is a comma missing before mode?
)lua",
     ""},
    {"", R"lua(local look = { mode = "pro", ["cfg"] = 1 take = 2 })lua",
     R"lua(kling: film.lua:2: '}' expected near 'take'
  local look = { mode = "pro", ["cfg"] = 1 take = 2 }
                                           ^
  do: is a comma missing before take?
)lua",
     ""},
    {"",
     R"lua(local ride = {
  from = "the lake"
  to = "the sea",
})lua",
     R"lua(kling: film.lua:4: '}' expected (to close '{' at line 2) near 'to'
    to = "the sea",
    ^
  do: is a comma missing before to?
)lua",
     ""},
    {"",
     R"lua(local half = (7 // 2
print(half))lua",
     R"lua(kling: film.lua:3: ')' expected (to close '(' at line 2) near 'print'
  print(half)
  ^
  do: is a comma missing before print, or a ) missing after line 2?
)lua",
     ""},
    {"", R"lua(local t = { prompt = "She says \"wait — what?\"" duration = 5 })lua",
     R"lua(kling: film.lua:2: '}' expected near 'duration'
  local t = { prompt = "She says \"wait — what?\"" duration = 5 }
                                                   ^
  do: is a comma missing before duration?
)lua",
     ""},
    {"",
     R"lua(local M = {}
function M:end() return 1 end)lua",
     R"lua(kling: film.lua:3: <name> expected near 'end'
  function M:end() return 1 end
             ^
  do: this is a word of Lua's own: choose another name
)lua",
     ""},
    {"", R"lua(local function M:go() return 1 end)lua",
     R"lua(kling: film.lua:2: '(' expected near ':'
  local function M:go() return 1 end
                  ^
  do: leave out local: it names something new
)lua",
     ""},
    {"", R"lua(local t = { prompt = "a heron":upper() })lua",
     R"lua(kling: film.lua:2: '}' expected near ':'
  local t = { prompt = "a heron":upper() }
                                ^
  do: a text in quotes stands in brackets before its method: ("A fox"):upper(); # counts it
)lua",
     ""},
    {"", R"lua(local a, b = (1, 2))lua",
     R"lua(kling: film.lua:2: ')' expected near ','
  local a, b = (1, 2)
                 ^
  do: values have no brackets: local a, b = 1, 2
)lua",
     ""},
    {"", R"lua(print("a" . "b"))lua",
     R"lua(kling: film.lua:2: ')' expected near '.'
  print("a" . "b")
            ^
  do: texts are joined with ..: "A " .. name
)lua",
     ""},
    {"", R"lua(local n = 1_000)lua",
     R"lua(kling: film.lua:2: malformed number near '1_'
  local n = 1_000
            ^
  do: a number is written without _: 1000
)lua",
     ""},
    {"",
     R"lua(local list = { "x" }
if "x" in list then print(1) end)lua",
     R"lua(kling: film.lua:3: 'then' expected near 'in'
  if "x" in list then print(1) end
         ^
  do: a loop finds it: for i, item in ipairs(list) do … end
)lua",
     ""},
    {"", R"lua(local m = "pro" if list else "std")lua",
     R"lua(kling: film.lua:2: 'then' expected near 'else'
  local m = "pro" if list else "std"
                          ^
  do: a value that depends: x = a and b or c
)lua",
     ""},
    {"",
     R"lua(local row = { name = "A" }
print(row.date.year))lua",
     R"lua(kling: film.lua:3: attempt to index a nil value (field 'date')
  do: it was given no value; a function that gives one needs a return; kling.all gives one table
)lua",
     ""},
    {"",
     R"lua(local film = {}
print(film.size.width))lua",
     R"lua(kling: film.lua:3: attempt to index a nil value (field 'size')
  do: it was given no value; a function that gives one needs a return; kling.all gives one table
)lua",
     ""},
    {"", R"lua(del shots[1])lua",
     R"lua(kling: film.lua:2: syntax error near 'shots'
  del shots[1]
      ^
  do: write shots[1] = nil, or table.remove(shots, 1)
)lua",
     ""},
    {"", R"lua(local t[1] = 5)lua",
     R"lua(kling: film.lua:2: unexpected symbol near '['
  local t[1] = 5
         ^
  do: leave out local: it names something new
)lua",
     ""},
    {"",
     R"lua(local a = 1
a = b = 3)lua",
     R"lua(kling: film.lua:3: unexpected symbol near '='
  a = b = 3
        ^
  do: one value at a time: b = 3, then a = b
)lua",
     ""},
    {"", R"lua(kling.text2video { prompt = "A", on_done = print })lua",
     R"lua(kling: film.lua:2: on_done is a function, which cannot be sent
  do: write job:on_done(function(clip, err) … end)
)lua",
     ""},
};
