// The tables of the ledger and how older files become the present form.
#pragma once

#include "engine/ledger_database.h"

namespace kling::engine {

/// Brings the database to the present schema, making it when it is empty, and checks its pages.
/// Errors (kind ledger): damaged, of a newer kling, or of another program.
Status prepare_schema(Database& database);

}  // namespace kling::engine
