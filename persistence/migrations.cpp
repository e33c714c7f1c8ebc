#include "persistence/migrations.hpp"

#include "persistence/sql.hpp"

#include <cstdio>

namespace binnacle::persistence {
namespace {

/// FNV-1a over the text without carriage returns: it tells an edited file from an unedited one,
/// nothing more.
std::string checksum_of(std::string_view sql) {
  std::uint64_t hash = 14'695'981'039'346'656'037U;
  for (char c : sql)
    if (c != '\r') hash = (hash ^ static_cast<unsigned char>(c)) * 1'099'511'628'211U;
  char out[17];
  std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(hash));
  return out;
}

struct applied_migration {
  int number = 0;
  std::string name{};
  std::string checksum{};
};

constexpr statement migrations_exist{"migrations_exist", R"sql(
  SELECT to_regclass('schema_migrations') IS NOT NULL
)sql"};
constexpr statement applied{"applied_migrations", R"sql(
  SELECT number, name, checksum FROM schema_migrations ORDER BY number
)sql"};

std::vector<applied_migration> applied_in(transaction& tx) {
  std::vector<applied_migration> out;
  if (!truth_of(exec(tx, migrations_exist)[0][0])) return out;
  for (auto row : exec(tx, applied))
    out.push_back({static_cast<int>(integer_of(row[0])), text_of(row[1]), text_of(row[2])});
  return out;
}

schema_state compare(const std::vector<applied_migration>& have) {
  const auto& ours = migrations();
  schema_state out;
  out.newest = ours.empty() ? 0 : ours.back().number;
  for (const auto& m : have) {
    if (m.number != out.applied + 1)
      out.problems.push_back("migration " + std::to_string(out.applied + 1) +
                             " is missing although later ones are applied");
    out.applied = m.number;
    if (m.number > out.newest) {
      out.problems.push_back("the schema has migration " + m.name +
                             ", which this binary does not know: it is older than the schema");
      continue;
    }
    const auto& own = ours[static_cast<std::size_t>(m.number - 1)];
    if (checksum_of(own.sql) != m.checksum)
      out.problems.push_back("migration " + m.name + " was applied with another text");
  }
  return out;
}

fault does_not_fit(const schema_state& state) {
  return {errc::conflict,
          "The database schema does not fit this binary: " + state.problems.front(),
          {},
          {}};
}

constexpr auto create_list = R"sql(
  CREATE TABLE IF NOT EXISTS schema_migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
  )
)sql";
constexpr statement lock_schema{"lock_schema", R"sql(
  SELECT pg_advisory_xact_lock(hashtextextended('binnacle.schema', 0))
)sql"};
constexpr statement record{"record_migration", R"sql(
  INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)
)sql"};

/// Applies the first migration that is missing and returns its name; empty when none is.
result<std::string> apply_next(transaction& tx) {
  exec(tx, lock_schema);
  inside(tx).run_script(create_list);
  auto state = compare(applied_in(tx));
  if (!state.problems.empty()) return does_not_fit(state);
  if (state.current()) return std::string{};
  const auto& next = migrations()[static_cast<std::size_t>(state.applied)];
  inside(tx).run_script(std::string{next.sql});
  exec(tx, record, next.number, next.name, checksum_of(next.sql));
  return std::string{next.name};
}

database_config unhurried(database_config config) {
  config.statement_timeout = std::chrono::milliseconds{0};
  return config;
}

result<schema_state> inspect(database& db) {
  schema_state out;
  auto ran = db.run(access::snapshot, [&](transaction& tx) -> result<done> {
    out = compare(applied_in(tx));
    return done{};
  });
  if (!ran) return ran.error();
  return out;
}

} // namespace

result<schema_state> inspect_schema(const database_config& config) {
  database db{config};
  return inspect(db);
}

result<std::vector<std::string>> migrate(const database_config& config, bool dry_run) {
  database db{unhurried(config)};
  std::vector<std::string> out;
  if (dry_run) {
    auto state = inspect(db);
    if (!state) return state.error();
    if (!state->problems.empty()) return does_not_fit(*state);
    for (const auto& m : migrations())
      if (m.number > state->applied) out.emplace_back(m.name);
    return out;
  }
  for (;;) {
    std::string name;
    auto ran = db.run(access::write, [&](transaction& tx) -> result<done> {
      auto applied_now = apply_next(tx);
      if (!applied_now) return applied_now.error();
      name = *applied_now;
      return done{};
    });
    if (!ran) return ran.error();
    if (name.empty()) return out;
    out.push_back(name);
  }
}

} // namespace binnacle::persistence
