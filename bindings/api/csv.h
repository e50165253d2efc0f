// Tables as the world's spreadsheets save them. Pure; any thread.
#pragma once

#include "api/request.h"

namespace kling::api {

/// The rows of a CSV file as objects: the first row names the columns, empty cells are left out.
/// Commas, semicolons or tabs separate, or what a first line "sep=;" names; a cell in quotes may
/// hold them, line breaks and "" for a quote. Error (invalid): what is wrong, with the row as a
/// spreadsheet counts and the column.
Result<Json> read_csv(std::string text, const std::string& name);

}  // namespace kling::api
