#include "installation.hpp"

#include "persistence/private_cluster.hpp"

#include <filesystem>

namespace binnacle {

struct installation::parts {
  persistence::database_config database{};
  std::unique_ptr<persistence::private_cluster> cluster{};
};

installation::~installation() = default;

persistence::database_config installation::database() const { return inside_->database; }

result<std::unique_ptr<installation>> installation::open(settings& config, bool may_attach) {
  std::unique_ptr<installation> out{new installation};
  out->inside_ = std::make_unique<parts>();
  std::error_code error;
  std::filesystem::create_directories(config.data_dir, error);
  if (error)
    return fault{errc::unavailable,
                 "cannot make the data directory " + config.data_dir + ": " + error.message()};
  if (!config.database.url.empty()) {
    out->summary_ = "Database: the one DATABASE_URL names";
  } else {
    persistence::private_cluster_config there{config.data_dir, config.database.postgres_bin};
    auto running = may_attach ? persistence::private_cluster::url_of_running(there)
                              : result<secret>{fault{errc::unavailable}};
    if (running) {
      config.database.url = *running;
      out->summary_ = "Database: the private cluster that already runs in " + config.data_dir;
    } else {
      auto started = persistence::private_cluster::start(there);
      if (!started) {
        auto why = started.error();
        why.code = errc::unavailable; // in use, or of another version: not to be had as it is
        return why;
      }
      auto& cluster = **started;
      config.database.url = cluster.url();
      out->summary_ = std::string{"Database: "} + (cluster.was_created() ? "made" : "started") +
                      " the private PostgreSQL " + std::to_string(cluster.major_version()) +
                      " cluster in " + config.data_dir + "/postgres";
      out->inside_->cluster = std::move(*started);
    }
  }
  out->inside_->database = {.url = config.database.url,
                            .statement_timeout = config.database.statement_timeout,
                            .connect_timeout = config.database.connect_timeout,
                            .application_name = "binnacle"};
  return out;
}

} // namespace binnacle
