#include "cli/settings.h"

namespace kling::cli {

void ServiceOptions::add_options(CLI::App& app) {
  app.add_option("--base-url", base_url,
                 "the service (KLING_BASE_URL; default https://api.cometapi.com)");
  app.add_option("--ledger", ledger,
                 "the ledger file (KLING_LEDGER; default: in the nearest .kling/), or :memory:");
  app.add_option("--store", store, "folder for finished clips (default: beside the ledger)");
  app.add_flag("--insecure", insecure,
               "allow a plain http:// service elsewhere than on this machine");
}

void ServiceOptions::add_waiting_options(CLI::App& app) {
  app.add_option("--poll-interval", poll_interval,
                 "seconds between two looks at a job (KLING_POLL_INTERVAL)");
  app.add_option("--patience", patience, "seconds a lost answer is searched for (KLING_PATIENCE)");
}

}  // namespace kling::cli
