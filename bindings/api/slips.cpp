#include "api/endpoint.h"
#include "api/text.h"

namespace kling::api {

constexpr const char* kStart = "kling.image2video starts from a picture: image = …";
constexpr const char* kFirst =
    "start_image first_frame init_image image_url input_image picture photo start_frame "
    "prompt_image input_reference first_frame_image reference_image";

// The first row that fits counts.
constexpr FieldSlip kSlips[] = {
    {"text2video", "image", kStart},
    {"text2video", kFirst, kStart},
    {"text2video", "image_tail last_frame end_image end_frame tail_image tail_image_url keyframes",
     "kling.image2video ends with a picture: image_tail = …"},
    {"text2video", "image_list images reference_images",
     "kling.omni refers to pictures: image_list = { … }"},
    {"image2video", kFirst, "write image = …"},
    {"image2video", "keyframes last_frame",
     "image = … is what the clip begins with, image_tail = … what it ends with"},
    {"image2video", "tail end_image end_frame tail_image tail_image_url", "write image_tail = …"},
    {"image2video", "aspect_ratio ratio aspect", "leave it out: the picture decides the shape"},
    {"image2video", "image_list images reference_images",
     "write image = …; kling.omni refers to several pictures: image_list = { … }"},
    {"multi_image2video", "image images pictures reference_images", "write image_list = { … }"},
    {"omni", "image images pictures reference_images", "write image_list = { … }"},
    {"omni", "first_frame start_image start_frame init_image image_url",
     "write image_list = { { image = …, type = \"first_frame\" } }"},
    {"omni", "image_tail last_frame end_image end_frame",
     "write image_list = { { image = …, type = \"end_frame\" } }, beside a first_frame"},
    {"omni", "negative_prompt", "say in the prompt what to keep out: omni has no field for it"},
    {"omni", "video video_url videos", "write video_list = { … }"},
    {"", "video video_url video_list", "kling.omni edits a video: video_list = { clip }"},
    {"", "ratio aspect format shape orientation", "write aspect_ratio = \"16:9\""},
    {"", "resolution size quality width height definition professional_mode hd high_quality",
     "mode = \"pro\" is 1080p, mode = \"std\" is 720p, \"4k\" needs kling-v3; aspect_ratio is the "
     "shape"},
    {"", "length lenght dur len seconds time secs duration_seconds num_seconds",
     "write duration = 5"},
    {"",
     "seed fps frame_rate frames steps num_frames sampler scheduler motion_bucket_id loop "
     "num_inference_steps person_generation enhance_prompt prompt_optimizer concepts options style "
     "motion motion_strength",
     "Kling has no such setting: leave it out"},
    {"", "cfg guidance guidance_scale scale creativity relevance", "write cfg_scale = 0.5"},
    {"", "text description promt caption prompt_text", "write prompt = \"…\""},
    {"", "negative neg_prompt avoid exclude", "write negative_prompt = \"…\""},
    {"", "camera camera_motion camera_movement movement",
     "say it in the prompt: \"slow zoom in\"; kling-v1 takes camera_control = { type = \"simple\", "
     "config = { zoom = 5 } }"},
    {"", "zoom pan tilt", "say it in the prompt: \"slow zoom in\""},
    {"", "budget max_cost", "write kling.configure { budget = 5 }, or kling run --max-cost 5"},
    {"", "async await", "leave it out: a job runs by itself, and job:wait() gives its clip"},
    {"", "takes", "a request makes one: write two, with take = 1 and take = 2"},
    {"", "title label id shot", "write name = \"…\""},
    {"", "watermark", "write watermark_info = { enabled = true }"},
    {"", "voice voices", "write voice_list = { … }"},
    {"", "audio music soundtrack with_audio generate_audio",
     "write sound = \"on\"; music goes under a film: kling.concat(clips, \"film.mp4\", { audio = "
     "\"song.mp3\" })"},
    {"", "n count num_videos samples sample_count batch batch_size variations",
     "one request makes one clip: ask again with take = 2, take = 3, …"},
    {"", "webhook callback notify_url webhook_url", "write callback_url = \"https://…\""},
    {"", "model_id version engine", "write model_name = \"…\""},
    {"", "output output_path path file filename save save_as save_to",
     "save the clip when it is there: job:wait():save(\"shot.mp4\")"},
    {"", "wait sync timeout", "wait on the job that comes back: job:wait { timeout = 600 }"},
};

std::span<const FieldSlip> field_slips() { return kSlips; }

std::string meant_field(std::string_view endpoint, std::string_view name) {
  // promptText and prompt-text are prompt_text.
  const auto letters = [](std::string text) {
    std::erase_if(text, [](char c) { return c == '_' || c == '-'; });
    return text;
  };
  const std::string word = letters(lower(name));
  for (const FieldSlip& slip : kSlips)
    if ((slip.endpoint.empty() || slip.endpoint == endpoint) &&
        has_word(letters(std::string(slip.names)), word))
      return slip.instead;
  return {};
}

}  // namespace kling::api
