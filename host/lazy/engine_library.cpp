#include "lazy/engine_library.h"

/// The one symbol that libkling-engine.so exports.
extern "C" [[gnu::visibility("default")]] const kling::lazy::EngineLibrary kling_engine_library{};
