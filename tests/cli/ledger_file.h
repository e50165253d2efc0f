// A ledger's file as others may have left it. Blocks.
#pragma once

#include <string>

#include <doctest/doctest.h>
#include <sqlite3.h>

namespace kling::test {

inline void change_ledger(const std::string& file, const std::string& sql) {
  sqlite3* ledger = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &ledger) == SQLITE_OK);
  CHECK(sqlite3_exec(ledger, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(ledger);
}

}  // namespace kling::test
