#include "command_support.hpp"

#include "commands.hpp"
#include "installation.hpp"
#include "persistence/migrations.hpp"
#include "persistence/users.hpp"

#include <iostream>
#include <unistd.h>

namespace binnacle::commands {

int complain(const fault& f) {
  std::cerr << "binnacle: " << f.message();
  if (!f.detail.empty()) std::cerr << " (" << f.detail << ")";
  std::cerr << "\n";
  switch (f.code) {
  case errc::bad_request:
    return usage;
  case errc::unavailable:
    return unavailable;
  default:
    return failed;
  }
}

progress_bar::progress_bar(const char* unit)
    : unit_{unit}, terminal_{::isatty(STDERR_FILENO) == 1} {}

progress_bar::~progress_bar() {
  if (drawn_) std::cerr << "\n";
}

void progress_bar::show(std::int64_t finished, std::int64_t total) {
  if (!terminal_ || total <= 0) return;
  constexpr std::int64_t width = 40;
  auto filled = width * finished / total;
  std::string bar(static_cast<std::size_t>(filled), '#');
  bar.append(static_cast<std::size_t>(width - filled), '.');
  std::cerr << "\r[" << bar << "] " << finished << "/" << total << " " << unit_ << std::flush;
  drawn_ = true;
}

result<done> note(persistence::transaction& tx, std::string action, const user_id& target,
                  time_point now) {
  persistence::audit_entry entry;
  entry.action = std::move(action);
  entry.target = target.value;
  entry.detail = R"({"by":"command line"})";
  return persistence::write_audit(tx, entry, now);
}

int with_database(settings& config, const std::function<int(persistence::database&)>& body) {
  auto installed = installation::open(config);
  if (!installed) return complain(installed.error());
  if (auto applied = persistence::migrate((*installed)->database()); !applied)
    return complain(applied.error());
  persistence::database db{(*installed)->database()};
  return body(db);
}

} // namespace binnacle::commands
