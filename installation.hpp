/// The database of this installation: the one DATABASE_URL names, or the private cluster in the
/// data directory, which is started if it does not run yet.
#pragma once

#include "config/settings.hpp"
#include "persistence/database.hpp"

#include <memory>
#include <string>

namespace binnacle {

class installation {
public:
  /// Makes the data directory, finds or starts the database, and puts its URL into `config`. A
  /// private cluster that a running service has started is used as it is, and left running.
  static result<std::unique_ptr<installation>> open(settings& config, bool may_attach = true);
  ~installation();

  persistence::database_config database() const;
  /// What was found or made, in a line or two for a person.
  const std::string& summary() const { return summary_; }

private:
  installation() = default;
  struct parts;
  std::unique_ptr<parts> inside_{};
  std::string summary_{};
};

} // namespace binnacle
