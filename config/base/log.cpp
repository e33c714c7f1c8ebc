#include "config/base/log.hpp"

#include "config/base/time.hpp"

#include <array>
#include <memory>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <utility>

namespace binnacle::log {
namespace {

std::shared_ptr<spdlog::logger> bare(std::string name, spdlog::sink_ptr sink) {
  auto out = std::make_shared<spdlog::logger>(std::move(name), std::move(sink));
  out->set_pattern("%v");
  return out;
}

struct loggers {
  std::shared_ptr<spdlog::logger> events =
      bare("binnacle", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  std::shared_ptr<spdlog::logger> requests =
      bare("access", std::make_shared<spdlog::sinks::stdout_sink_mt>());
};

loggers& all() {
  static loggers instance;
  return instance;
}

constexpr std::array levels{
    std::pair{spdlog::level::debug, "debug"},
    std::pair{spdlog::level::info, "info"},
    std::pair{spdlog::level::warn, "warn"},
    std::pair{spdlog::level::err, "error"},
};

} // namespace

void open(level least, const std::string& access_path) {
  auto& to = all();
  to.events->set_level(levels[static_cast<std::size_t>(least)].first);
  to.events->flush_on(spdlog::level::info);
  if (!access_path.empty())
    to.requests = bare("access", std::make_shared<spdlog::sinks::basic_file_sink_mt>(access_path));
}

void flush() {
  all().events->flush();
  all().requests->flush();
}

void write(level at, std::string_view event, json::object fields) {
  auto [severity, name] = levels[static_cast<std::size_t>(at)];
  auto& to = *all().events;
  if (!to.should_log(severity)) return;
  json::object line{
      {"time", format_iso_ms(std::chrono::system_clock::now())}, {"level", name}, {"event", event}};
  for (auto& [key, member] : fields.members()) line.add(key, member);
  to.log(severity, spdlog::string_view_t{json::to_text(line)});
}

void access(std::string_view line) {
  all().requests->log(spdlog::level::info, spdlog::string_view_t{line.data(), line.size()});
}

} // namespace binnacle::log
