// The command line: reads settings, picks a command.

#include "commands.hpp"
#include "config/base/log.hpp"
#include "config/settings.hpp"
#include "http/service.hpp"

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <iostream>

namespace {

using namespace binnacle;

/// "--set http.listen=…" on the command line, over file and environment.
result<done> apply_overrides(settings& s, const std::vector<std::string>& overrides) {
  auto options = options_of(s);
  for (auto& text : overrides) {
    auto equals = text.find('=');
    auto name = text.substr(0, equals);
    auto found = std::ranges::find(options, name, &option::name);
    if (equals == text.npos || found == options.end())
      return bad_field(name, "--set: no such setting: " + text);
    if (auto set = assign(*found, text.substr(equals + 1)); !set) return set;
  }
  return done{};
}

log::level level_of(const std::string& name) {
  if (name == "debug") return log::level::debug;
  if (name == "warn") return log::level::warn;
  if (name == "error") return log::level::error;
  return log::level::info;
}

} // namespace

int main(int argc, char** argv) {
  http::hold_stop_signals();
  std::signal(SIGPIPE, SIG_IGN); // a closed pipe or socket is an error to handle, not an end

  CLI::App app{"Binnacle answers every dashboard call of a SaaS."};
  app.require_subcommand(1);
  app.fallthrough();
  std::string file;
  if (auto* from_environment = std::getenv("BINNACLE_CONFIG")) file = from_environment;
  app.add_option("--config", file, "TOML file with settings (or BINNACLE_CONFIG)")
      ->check(CLI::ExistingFile);
  std::vector<std::string> overrides;
  app.add_option("--set", overrides, "a setting, as name=value; may be repeated");

  std::function<int(settings)> command;
  auto add = [&](const char* name, const char* help) {
    auto* sub = app.add_subcommand(name, help);
    sub->fallthrough();
    return sub;
  };

  auto* serve = add("serve", "run the service");
  std::string listen;
  serve->add_option("--listen", listen, "address:port (setting http.listen)");
  serve->callback([&] {
    command = [&](settings s) {
      if (!listen.empty()) s.http.listen = listen;
      return commands::serve(std::move(s));
    };
  });

  auto* migrate = add("migrate", "bring the database schema up to date");
  bool dry_run = false;
  migrate->add_flag("--dry-run", dry_run, "only list what would be applied");
  migrate->callback(
      [&] { command = [&](settings s) { return commands::migrate(std::move(s), dry_run); }; });

  auto* collect = add("collect", "collect usage from the clusters and book it");
  commands::collect_options range;
  collect->add_option("--from", range.from, "first hour, such as 2026-01-31T00:00:00Z");
  collect->add_option("--to", range.to, "end of the last hour");
  collect->add_flag("--again", range.again, "also hours that were collected completely");
  collect->add_flag("--dry-run", range.dry_run, "ask the clusters, book nothing");
  collect->callback(
      [&] { command = [&](settings s) { return commands::collect(std::move(s), range); }; });

  auto* sync = add("sync-stripe", "report booked usage to Stripe's meters");
  bool sync_dry_run = false;
  sync->add_flag("--dry-run", sync_dry_run, "only list what would be reported");
  sync->callback([&] {
    command = [&](settings s) { return commands::sync_stripe(std::move(s), sync_dry_run); };
  });

  auto* disputes = add("disputes", "decide about reports to Stripe's meters that are disputed");
  commands::dispute_options dispute;
  auto* which = disputes->add_option("identifier", dispute.identifier, "which (default: list all)");
  auto* taken = disputes->add_flag("--taken", dispute.taken, "Stripe has counted it");
  disputes->add_flag("--not-taken", dispute.not_taken, "Stripe has not: send it again")
      ->needs(which)
      ->excludes(taken->needs(which));
  disputes->callback(
      [&] { command = [&](settings s) { return commands::disputes(std::move(s), dispute); }; });

  auto* reconcile = add("reconcile", "compare the books, from OpenCost to Stripe");
  commands::reconcile_options books;
  reconcile->add_option("--from", books.from, "first day, such as 2026-01-31 (default: 35 days)");
  reconcile->add_option("--to", books.to, "last day (default: yesterday)");
  reconcile->add_option("--user", books.email, "only this user, by email address");
  reconcile->add_flag("--stripe", books.stripe, "also with what Stripe has counted");
  reconcile->add_flag("--opencost", books.opencost, "also with what the clusters say now");
  auto* as_json = reconcile->add_flag("--json", books.json, "print JSON");
  reconcile->add_flag("--csv", books.csv, "print the differences as CSV")->excludes(as_json);
  reconcile->callback(
      [&] { command = [&](settings s) { return commands::reconcile(std::move(s), books); }; });

  auto* token = add("token", "print an access token of a user");
  std::string email;
  bool admin = false;
  token->add_option("--email", email, "the user's email address")->required();
  token->add_flag("--admin", admin, "make the user an admin");
  token->callback(
      [&] { command = [&](settings s) { return commands::token(std::move(s), email, admin); }; });

  auto* user = add("user", "add a user; the password is read from standard input");
  commands::user_options new_user;
  user->add_option("--username", new_user.username, "3 to 50 letters, digits, _ and -")->required();
  user->add_option("--email", new_user.email, "the user's email address");
  user->add_flag("--admin", new_user.admin, "make the user an admin");
  user->callback(
      [&] { command = [&](settings s) { return commands::add_user(std::move(s), new_user); }; });

  auto* project = add("project", "give a namespace of a cluster to a user");
  commands::project_options new_project;
  project->add_option("--email", new_project.email, "the user's email address")->required();
  project->add_option("--cluster", new_project.cluster, "the cluster's name")->required();
  project->add_option("--namespace", new_project.name_space, "the namespace")->required();
  project->add_option("--name", new_project.name, "the project's name (default: the namespace)");
  project->callback([&] {
    command = [&](settings s) { return commands::add_project(std::move(s), new_project); };
  });

  auto* price = add("price", "give a product a price, from now or a time on");
  commands::price_options new_price;
  price
      ->add_option("--product", new_price.product,
                   "compute_credits, storage_online_gb or storage_offline_gb")
      ->required();
  price->add_option("--unit-price", new_price.unit_price, "per credit, or per GB and month")
      ->required();
  price->add_option("--stripe-price", new_price.stripe_price, "the price's id at Stripe");
  price->add_option("--from", new_price.from, "such as 2026-01-31T00:00:00Z (default: now)");
  price->callback(
      [&] { command = [&](settings s) { return commands::add_price(std::move(s), new_price); }; });

  auto* person = add("person", "hand out or erase what is kept about a person");
  person->require_subcommand(1);
  std::string person_email;
  auto add_for_person = [&](const char* name, const char* help, auto run) {
    auto* sub = person->add_subcommand(name, help);
    sub->fallthrough();
    sub->add_option("--email", person_email, "the person's email address")->required();
    sub->callback(
        [&, run] { command = [&, run](settings s) { return run(std::move(s), person_email); }; });
  };
  add_for_person("export", "print, as JSON, everything that is kept", commands::export_person);
  add_for_person("erase", "take out who it was; what the books need stays, of nobody",
                 commands::erase_person);
  auto* bring = add("import", "bring in subscribers, subscriptions, orders and invoices");
  commands::import_options imported;
  bring->add_option("--surface", imported.surface, "whose rows: assinante")->required();
  bring->add_option("file", imported.file, "JSON lines; - is standard input")->required();
  bring->add_flag("--dry-run", imported.dry_run, "check all of it, store nothing");
  bring->callback(
      [&] { command = [&](settings s) { return commands::import_rows(std::move(s), imported); }; });

  auto* doctor = add("doctor", "check the installation and say what to do about faults");
  doctor->callback(
      [&] { command = [&](settings s) { return commands::doctor(std::move(s), file); }; });

  auto* version = add("version", "print the version");
  bool print_version = false;
  version->callback([&] { print_version = true; });

  auto* show = add("settings", "print every setting, its environment names and its value");
  bool markdown = false;
  show->add_flag("--markdown", markdown, "the table of the README, with defaults");
  show->callback([&] {
    command = [](settings s) {
      for (auto& o : options_of(s)) std::cout << o.name << " = " << binnacle::show(o) << "\n";
      return static_cast<int>(commands::ok);
    };
  });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? commands::ok : commands::usage;
  }
  if (print_version) {
    std::cout << "binnacle " BINNACLE_VERSION "\n";
    return commands::ok;
  }
  if (markdown) {
    std::cout << options_as_markdown();
    return commands::ok;
  }

  auto loaded = load_settings(file, process_environment());
  if (loaded)
    if (auto set = apply_overrides(*loaded, overrides); !set) loaded = set.error();
  if (!loaded) {
    std::cerr << "binnacle: the configuration has faults:\n" << loaded.error().text << "\n";
    return commands::bad_config;
  }
  try {
    log::open(level_of(loaded->log_level),
              loaded->access_log == "off" ? std::string{} : loaded->access_log);
    return command(std::move(*loaded));
  } catch (const std::exception& e) {
    std::cerr << "binnacle: " << e.what() << "\n";
    return commands::internal;
  }
}
