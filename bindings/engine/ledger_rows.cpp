#include "engine/ledger_rows.h"

namespace kling::engine {

const char* name(StepState state) {
  switch (state) {
    case StepState::intended:
      return "intended";
    case StepState::sending:
      return "sending";
    case StepState::accepted:
      return "accepted";
    case StepState::succeeded:
      return "succeeded";
    case StepState::failed:
      return "failed";
    case StepState::ambiguous:
      return "ambiguous";
  }
  return "ambiguous";
}

const std::string kSelectSteps =
    "SELECT id, service, endpoint, digest, ordinal, address, attempt, external_id,"
    " own_external_id, task_path, nth, owner, task_id, target, script, summary, request, result,"
    " error, file, file_sha256, created_at, sent_at, accepted_at, finished_at, estimate_usd,"
    " cost_usd, run, took, state FROM steps WHERE ";

StepRow read_step(Database& database, Query& query) {
  StepRow row;
  std::string state;
  query >> row.id >> row.service >> row.endpoint >> row.digest >> row.ordinal >> row.address >>
      row.attempt >> row.external_id >> row.own_external_id >> row.task_path >> row.nth >>
      row.owner >> row.task_id >> row.target >> row.script >> row.summary >> row.request >>
      row.result >> row.error >> row.file >> row.file_sha256 >> row.created_at >> row.sent_at >>
      row.accepted_at >> row.finished_at >> row.estimate_usd >> row.cost_usd >> row.run >>
      row.took >> state;
  for (StepState known : {StepState::intended, StepState::sending, StepState::accepted,
                          StepState::succeeded, StepState::failed, StepState::ambiguous}) {
    if (state != name(known)) continue;
    row.state = known;
    return row;
  }
  database.fail(ledger_error(database.title() + " is damaged: a step has no state", kDamagedHint));
  return row;
}

std::int64_t old_answers(Database& database, Millis before, bool forget) {
  // Not the bodies of "refused: …": one may be the only trace of a paid task.
  const std::string old =
      " WHERE what IN ('accepted', 'succeeded', 'failed') AND step IN (SELECT id FROM steps"
      " WHERE state IN ('succeeded', 'failed') AND finished_at > 0 AND finished_at < ?)";
  std::int64_t bytes = 0;
  if (Query query(database,
                  "SELECT COALESCE(SUM(LENGTH(CAST(body AS BLOB))), 0) FROM journal" + old, before);
      query.next())
    query >> bytes;
  if (forget) database.run("UPDATE journal SET body = ''" + old, before);
  return bytes;
}

}  // namespace kling::engine
