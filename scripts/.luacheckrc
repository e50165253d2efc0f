-- Written by `kling types`. The REPL and some hosts give the module as a global.
std = "lua54"
exclude_files = { "types" }
read_globals = {
  kling = {
    fields = {
      text2video = {},
      image2video = {},
      multi_image2video = {},
      omni = {},
      omni_video = {},
      query = {},
      job = {},
      request = {},
      image = {},
      bytes = {},
      still = {},
      concat = {},
      timeline = {},
      sheet = {},
      all = {},
      any = {},
      map = {},
      spawn = {},
      sleep = {},
      timeout = {},
      notify = {},
      log = {},
      csv = {},
      json = {},
      configure = {},
      client = {},
      null = {},
      _VERSION = {},
    },
  },
}
