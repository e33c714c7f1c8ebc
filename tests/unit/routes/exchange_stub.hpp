/// An exchange without a connection, for what only reads its request.
#pragma once

#include "actors/exchange.hpp"

#include <string>

namespace binnacle::testing {

class exchange_stub final : public exchange {
public:
  explicit exchange_stub(std::string path) : path_{std::move(path)} {
    req.path = req.target = path_;
    id = "01JTESTREQUEST";
  }

private:
  void on_answer() override {}
  void on_dropped() override { answer({.status = 500}); }
  std::string path_;
};

} // namespace binnacle::testing
