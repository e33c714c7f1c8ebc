/// A read described instead of run: one statement that finds its rows by key. Questions of many
/// callers travel to PostgreSQL together and share one round trip (`database::ask`), which a
/// function over a `transaction&` cannot. Meant for what is asked for all the time; everything else
/// is a function.
#pragma once

#include "config/base/errors.hpp"

#include <string>
#include <vector>

namespace binnacle::persistence {

class rows;       // sql.hpp
struct statement; // sql.hpp

/// What the connection sees of a query. Quick ones only: those asked together wait for each other.
class question {
public:
  question(const statement& what, std::vector<std::string> args)
      : what_{&what}, args_{std::move(args)} {}
  virtual ~question() = default;

  const statement& what() const { return *what_; }
  /// $1, $2, … in PostgreSQL's text form.
  const std::vector<std::string>& args() const { return args_; }

  /// One of these is called; again, when the connection was lost and all was asked once more. What
  /// `answer` throws refuses this question alone.
  virtual void answer(const rows& found) = 0;
  virtual void refuse(fault why) = 0;

protected:
  question(const question&) = default;
  question(question&&) = default;
  question& operator=(const question&) = default;
  question& operator=(question&&) = default;

private:
  const statement* what_;
  std::vector<std::string> args_;
};

template <class T>
class query final : public question {
public:
  using value_type = T;
  using reader = T (*)(const rows&);

  query(const statement& what, std::vector<std::string> args, reader read)
      : question{what, std::move(args)}, read_{read} {}

  void answer(const rows& found) override { outcome = read_(found); }
  void refuse(fault why) override { outcome = std::move(why); }

  result<T> outcome{fault{errc::unavailable, {}, {}, "not asked"}};

private:
  reader read_;
};

} // namespace binnacle::persistence
