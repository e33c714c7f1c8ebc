/// The commands of `binnacle`. Each returns the process's exit code.
#pragma once

#include "config/settings.hpp"

#include <optional>
#include <string>

namespace binnacle::commands {

/// Exit codes, after sysexits.h where it has one.
enum exit_code : int {
  ok = 0,
  failed = 1,       // it ran, and the answer is no (doctor found a fault, some hours failed)
  usage = 2,        // the command line is wrong
  unavailable = 69, // database or port cannot be had
  internal = 70,    // a bug: an actor could not be kept alive
  bad_config = 78,
};

/// Runs the service until SIGINT or SIGTERM.
int serve(settings config);
/// Applies missing migrations, or lists them.
int migrate(settings config, bool dry_run);
/// Collects and books usage; without a range, what is missing and the present hour.
struct collect_options {
  std::string from{}; // RFC 3339; empty: none
  std::string to{};
  bool again = false;
  bool dry_run = false;
};
int collect(settings config, const collect_options& options);
/// Reports booked usage to Stripe's meters, or tells what would be reported.
int sync_stripe(settings config, bool dry_run);
/// Lists the reports to Stripe's meters that are disputed or, of the one named, stores what a
/// person has found out.
struct dispute_options {
  std::string identifier{}; // empty: list them
  bool taken = false;
  bool not_taken = false;
};
int disputes(settings config, const dispute_options& options);
/// Compares the books with themselves and, when asked to, with OpenCost and Stripe; `failed` when
/// something differs or could not be compared.
struct reconcile_options {
  std::string from{};  // YYYY-MM-DD; empty: 35 days
  std::string to{};    // empty: yesterday
  std::string email{}; // empty: all users
  bool stripe = false;
  bool opencost = false;
  bool json = false;
  bool csv = false;
};
int reconcile(settings config, const reconcile_options& options);
/// Prints an access token of the user with this email, making the user if there is none.
int token(settings config, const std::string& email, bool admin);
/// Adds a user who logs in with a password read from standard input.
struct user_options {
  std::string username{};
  std::string email{};
  bool admin = false;
};
int add_user(settings config, const user_options& options);
/// From now on this namespace of a cluster is this user's project.
struct project_options {
  std::string email{};
  std::string cluster{}; // name
  std::string name_space{};
  std::string name{}; // empty: the namespace
};
int add_project(settings config, const project_options& options);
/// From now on, or from a time on, a product has this price.
struct price_options {
  std::string product{};
  std::string unit_price{};
  std::string stripe_price{}; // empty: not sold through Stripe
  std::string from{};         // RFC 3339; empty: now
};
int add_price(settings config, const price_options& options);
/// Prints, as JSON, everything that is kept about a person.
int export_person(settings config, const std::string& email);
/// Takes a person out of everything that is kept, but for what the books need.
int erase_person(settings config, const std::string& email);
/// Brings in rows from a file of JSON lines, `failed` when some were refused.
struct import_options {
  std::string surface{};
  std::string file{}; // "-": standard input
  bool dry_run = false;
};
int import_rows(settings config, const import_options& options);
/// Checks configuration, database, migrations, clusters and clocks; says what to do about faults.
int doctor(settings config, const std::string& config_file);

} // namespace binnacle::commands
