#include "lua/manual.h"

#include "api/endpoint.h"

namespace kling::lua {
namespace {

using Field = ManualField;
constexpr bool kWaits = true;

std::vector<ManualFunction> functions() {
  const Field options = {"options?", "kling.Options", "Only what is to change."};
  return {
      {"query",
       {{"job", "kling.Job|string|{external_id: string, kind?: string}",
         "A Job, a handle, an id, or an external id with its kind."},
        {"kind?", "string", "Of a bare id that the ledger does not know."}},
       "kling.Query",
       "Asks the service once.",
       kWaits},
      {"job",
       {{"handle", "string", "A handle, or an id that the ledger knows."}},
       "kling.Job",
       "The job of a handle, in any later script or session.",
       kWaits},
      {"request",
       {{"method", "\"GET\"|\"POST\"", "A POST is recorded before it is sent, and never repeated."},
        {"path", "string", "From / on."},
        {"body?", "table", "Sent as JSON."}},
       "any",
       "Any other endpoint of the service, with the same key and errors. Returns the answer.",
       kWaits},
      {"image",
       {{"path", "string", "JPEG or PNG."}},
       "kling.Image",
       "The picture in a local file."},
      {"bytes", {{"data", "string", "JPEG or PNG."}}, "kling.Image", "A picture from its bytes."},
      {"still",
       {{"from", "kling.Image|kling.Clip|string", "A picture or video, or the path of one."},
        {"options?", "kling.StillOptions", "How long, and which picture."}},
       "kling.Image",
       "A picture to be shown for some seconds in a film: a part for concat."},
      {"concat",
       {{"parts", "(kling.Clip|kling.Image|string)[]", "Clips, stills and paths."},
        {"path", "string", "Where the film goes."},
        {"options?", "kling.FilmOptions", "Its sound."}},
       "kling.Clip",
       "Joins clips to one film, which has the size and rate of the first generated clip. A clip "
       "that "
       "begins with the last frame of the one before shows it once. Each sound lasts as long as "
       "its "
       "picture.",
       kWaits},
      {"all",
       {{"items", "table<K, kling.Job|kling.Task|function>", "Functions are started as tasks."},
        {"options?", "{on_progress: fun(done: integer, total: integer)}",
         "Called when one more has ended."}},
       "table<K, any>",
       "Waits for all of them; the results have the same keys. An error interrupts the others' "
       "waits and is raised with all tracebacks.",
       kWaits,
       "K"},
      {"any",
       {{"items", "table<K, kling.Job|kling.Task|function>", "Functions are started as tasks."}},
       "any\nK",
       "The first that succeeds, and its key; when none does, the first error.",
       kWaits,
       "K"},
      {"map",
       {{"list", "V[]", "What `fn` is called with."},
        {"fn", "fun(value: V, index: integer): R", "Runs as a task, so it may wait."},
        {"options?", "kling.MapOptions", "How many at once."}},
       "R[]",
       "Calls `fn` for each, side by side; the results come in the order of the list.",
       kWaits,
       "V, R"},
      {"spawn",
       {{"fn", "function", "The task."}, {"...", "any", "Its arguments."}},
       "kling.Task",
       "Starts a task that runs beside this one."},
      {"sleep", {{"seconds", "number", "Fractions count."}}, "", "Lets time pass.", kWaits},
      {"timeout",
       {{"seconds", "number", "After them the error `timeout` is raised."},
        {"fn", "function", "Runs as a task."},
        {"...", "any", "Its arguments."}},
       "any",
       "The results of `fn`, if they come in time. Its jobs go on in any case.",
       kWaits},
      {"log",
       {{"level", "\"debug\"|\"info\"|\"warning\"|\"error\"|any", "Left out: info."},
        {"...", "any", "As print shows it."}},
       "",
       "A line in the program's log."},
      {"csv",
       {{"path", "string", "A CSV file: commas, semicolons or tabs; its first row names columns."}},
       "table<string, string>[]",
       "The rows of a table, ready for a request: an empty cell is left out. `name` and `take` are "
       "columns like others.",
       kWaits},
      {"json",
       {{"what", "string|any", "The path of a JSON file; anything else is a value."}},
       "any",
       "What the file holds, or the value as JSON text.",
       kWaits},
      {"configure",
       {options},
       "",
       "Changes the settings of this module; before its first job, but for limits, budget and "
       "strict."},
      {"client", {options}, "kling.Module", "A second module with settings of its own."},
  };
}

std::vector<ManualClass> values_of() {
  const Field wait = {"options?", "kling.WaitOptions", "How long to wait."};
  const std::vector<Field> path = {
      {"path", "string", "\"folder/\" picks a name; folders are made."}};
  return {
      {"kling.Job",
       "One generation. Its fields are a snapshot; reading them asks nobody.",
       {{"handle", "string", "Finds the job again, in any session."},
        {"id?", "string", "The service's id; nil until the request is accepted."},
        {"state",
         "\"preparing\"|\"sending\"|\"queued\"|\"running\"|\"succeeded\"|\"failed\"|\"ambiguous\"|"
         "\"paused\"",
         "How far it is."},
        {"kind", "string", "The function that made it."},
        {"request?", "table", "What the script wrote."},
        {"external_id?", "string", "The id that was sent with the request."},
        {"created?", "number", "When it was asked for, in seconds since 1970."},
        {"finished?", "number", "When it ended."},
        {"cost", "number", "In US dollars: what the service deducted, or an estimate."},
        {"reused", "boolean", "Paid for by an earlier run."},
        {"path?", "string", "Where its clip is stored, once it is."},
        {"where", "string", "Script and line of the call."},
        {"name?", "string", "What the script calls the shot."},
        {"waiting_for?", "string", "What it waits for, in words."},
        {"error?", "kling.Error", "Why it ended, or stopped to ask."}},
       {{"wait",
         {wait},
         "kling.Clip",
         "Waits for the clip. Raises what the service refused, a lost answer that needs a "
         "decision, "
         "and a failed generation. A timeout ends the waiting, never the job.",
         kWaits},
        {"accepted", {wait}, "kling.Job", "Waits until the service has given an id.", kWaits}}},
      {"kling.Clip",
       "A video: of a job, or a local file that concat made.",
       {{"path?", "string", "Where it is stored; reading it waits for the download."},
        {"url?", "string", "Its address at the service; signed, and good for some time only."},
        {"duration?", "number", "In seconds."},
        {"videos?", "kling.Video[]", "All that the service gave."},
        {"job?", "kling.Job", "The job that made it."}},
       {{"save", path, "string", "Saves it and returns the path written.", kWaits},
        {"last_frame", {}, "kling.Image", "Its last picture; made when it is needed."},
        {"frame",
         {{"seconds", "number", "From the start."}},
         "kling.Image",
         "The picture shown at that time."},
        {"probe", {}, "kling.Probe", "What ffprobe sees in it.", kWaits}}},
      {"kling.Image",
       "A picture: a file, bytes, or a frame of a clip that is made when it is needed.",
       {{"path", "string", "Of the file; reading it makes the picture."},
        {"seconds?", "number", "How long a still is shown."}},
       {{"save", path, "string", "Saves it as PNG or JPEG, as its name says: .png, .jpg, .jpeg.",
         kWaits}}},
      {"kling.Task",
       "A function that runs beside others.",
       {{"done", "boolean", "It has ended."}, {"path", "string", "Its place in the script."}},
       {{"wait",
         {wait},
         "any",
         "Waits for its end: returns its results, or raises its error.",
         kWaits},
        {"cancel", {}, "", "Raises `interrupted` at its present wait and every later one."}}},
      {"kling.Error",
       "What is raised. tostring gives the script's line, the message and the hint.",
       {{"kind",
         "\"invalid\"|\"auth\"|\"balance\"|\"policy\"|\"rate_limit\"|\"network\"|\"timeout\"|"
         "\"server\"|\"protocol\"|\"task_failed\"|\"ambiguous\"|\"budget\"|\"interrupted\"|"
         "\"media\"|\"ledger\"",
         "To branch on."},
        {"message", "string", "What happened."},
        {"hint?", "string", "What to do."},
        {"field?", "string", "Of the request, that is wrong."},
        {"code?", "string", "The service's."},
        {"http_status?", "integer", "The service's."},
        {"request_id?", "string", "The service's, for its support."},
        {"job?", "string", "The handle of the job."},
        {"retryable", "boolean", "The same call may succeed later."},
        {"where?", "string", "Script and line."},
        {"traceback?", "string", "Through the script's own code."}},
       {}},
      {"kling.Query",
       "What the service answers when it is asked for a job.",
       {{"status", "\"queued\"|\"running\"|\"succeeded\"|\"failed\"", "How far it is."},
        {"message?", "string", "The service's words."},
        {"id?", "string", "The service's id."},
        {"external_id?", "string", "The id that was sent with the request."},
        {"handle?", "string", "Finds the job again."},
        {"videos", "kling.Video[]", "Empty until it has succeeded."},
        {"raw?", "string", "The answer as it came."}},
       {}},
      {"kling.Video",
       "A video at the service.",
       {{"id?", "string", "The service's id."},
        {"url?", "string", "Signed, and good for some time only."},
        {"watermark_url?", "string", "The one with a watermark."},
        {"duration?", "number", "In seconds."}},
       {}},
      {"kling.Probe",
       "What ffprobe sees in a video.",
       {{"path", "string", "Of the file."},
        {"duration", "number", "In seconds."},
        {"width", "integer", "Pixels."},
        {"height", "integer", "Pixels."},
        {"fps", "number", "Frames a second."},
        {"bytes", "integer", "Of the file."},
        {"video_codec", "string", "As ffmpeg calls it."},
        {"audio_codec", "string", "Empty: no sound."}},
       {}},
  };
}

std::vector<ManualClass> options() {
  const Field lost = {"lost?", "\"ask\"",
                      "A lost answer stops the job at once, for you to decide."};
  const Field patience = {"patience?", "number", "Seconds that a lost answer is searched for."};
  const Field poll = {"poll?", "number", "Seconds between two looks at the job."};
  const Field strict = {"strict?", "boolean", "Warnings about requests are errors."};
  return {
      {"kling.RequestOptions",
       "What every function that makes a video takes besides its fields.",
       {{"extra?", "table", "Goes into the body unchecked, and overrides."},
        {"take?", "string|number",
         "Tells equal requests apart: another take is another video, and another payment."},
        {"name?", "string|number",
         "What you call the shot: in progress, plan, jobs and file names. Not sent; another name "
         "is "
         "no other request."},
        {"retry?", "boolean",
         "true: send it again although it failed in an earlier run and the script went on."},
        strict,
        lost,
        patience,
        poll},
       {}},
      {"kling.Options",
       "Settings of configure and client.",
       {{"key?", "string", "The API key."},
        {"base_url?", "string", "The service."},
        {"ledger?", "string", "A path, or \":memory:\"."},
        {"store?", "boolean|string", "Whether finished clips are kept; or the folder for them."},
        {"insecure?", "boolean", "Allow http:// elsewhere than on this machine."},
        patience,
        poll,
        {"limits?", "{jobs: integer|false}", "How many jobs may run at a time."},
        {"budget?", "number|{usd?: number, jobs?: integer|false}|false",
         "What the script may cost in US dollars, or submit, with its earlier runs."},
        {"price_factor?", "number",
         "What your account is charged of the list price, such as 0.8: scales every estimate."},
        lost,
        {"take?", "string", "Another complete take of the script."},
        {"replay?", "boolean",
         "Whether a request that an earlier run of this program made is gone on with, and not made "
         "anew; true for scripts, false for typed lines and in a program's own Lua."},
        strict},
       {}},
      {"kling.Address",
       "An address that is signed anew each time: the id is what it counts as.",
       {{"url", "string", "Where the picture or video lies."},
        {"id", "string", "Its identity, such as \"hero-v3\"."}},
       {}},
      {"kling.WaitOptions",
       "Of job:wait, job:accepted and task:wait.",
       {{"timeout?", "number", "Seconds; then the error `timeout` is raised."},
        {"on_progress?", "fun(job: kling.Job)", "Called about once a second; job:wait only."}},
       {}},
      {"kling.MapOptions",
       "Of kling.map.",
       {{"limit?", "integer", "So many at once; all when left out."},
        {"on_progress?", "fun(done: integer, total: integer)", "Called when one more has ended."}},
       {}},
      {"kling.StillOptions",
       "Of kling.still.",
       {{"seconds?", "number", "How long it is shown (2)."},
        {"at?", "number", "Which picture of a video, in seconds from its start (0)."}},
       {}},
      {"kling.FilmOptions",
       "Of kling.concat.",
       {{"audio?", "string", "A sound file in place of the clips' own sound."}},
       {}},
  };
}

}  // namespace

const Manual& manual() {
  static const Manual kManual = {functions(),
                                 {{"null", "userdata", "JSON's null, where a field needs it."},
                                  {"_VERSION", "string", "Name and version of the module."}},
                                 values_of(),
                                 options()};
  return kManual;
}

std::string call_of(const ManualFunction& function, const std::string& before) {
  std::string text = before + function.name + "(";
  for (const ManualField& param : function.params)
    text += (&param == &function.params.front() ? "" : ", ") + param.name;
  return text + ")";
}

}  // namespace kling::lua
