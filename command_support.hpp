/// What the commands have in common: complaints, progress, the installation's database.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/time.hpp"
#include "config/settings.hpp"
#include "persistence/database.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace binnacle::commands {

/// Says on standard error what is wrong; the exit code that goes with it.
int complain(const fault& f);

/// A line on standard error that is drawn over and over; nothing when that is no terminal.
class progress_bar {
public:
  explicit progress_bar(const char* unit);
  ~progress_bar();
  void show(std::int64_t finished, std::int64_t total);

private:
  const char* unit_;
  bool terminal_;
  bool drawn_ = false;
};

/// In the audit log, as the operator's deed, who is nobody's user: without actor and address.
result<done> note(persistence::transaction& tx, std::string action, const user_id& target,
                  time_point now);

/// Opens the installation's database, brings the schema up to date, and runs `body` on it.
int with_database(settings& config, const std::function<int(persistence::database&)>& body);

} // namespace binnacle::commands
