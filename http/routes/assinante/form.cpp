#include "http/routes/assinante/form.hpp"

#include "config/base/json.hpp"
#include "config/base/text.hpp"
#include "config/brazil.hpp"

#include <algorithm>
#include <boost/json/value.hpp>

namespace binnacle::http {
namespace {

constexpr auto missing = "Campo obrigatório";
constexpr int earliest_birth = 1900;

std::string between(std::size_t least, std::size_t most) {
  return "Deve ter de " + std::to_string(least) + " a " + std::to_string(most) + " caracteres";
}

/// What the sender of a number wrote.
std::optional<decimal> number_of(const boost::json::value& v) {
  if (v.is_int64()) return decimal{v.get_int64()};
  if (v.is_double()) return decimal::from_double(v.get_double());
  if (v.is_string()) return decimal::parse({v.get_string().data(), v.get_string().size()});
  return {};
}

} // namespace

const boost::json::value* form::find(std::string_view name) const {
  const auto* v = from_->if_contains({name.data(), name.size()});
  return v && !v->is_null() ? v : nullptr;
}

void form::note(std::string_view field, std::string_view text) {
  problems_.push_back({std::string{field}, std::string{text}});
}

std::optional<std::string> form::read(std::string_view name) {
  const auto* v = find(name);
  if (!v) return {};
  if (!v->is_string()) {
    note(name, "Deve ser um texto");
    return {};
  }
  auto out = std::string{trimmed({v->get_string().data(), v->get_string().size()})};
  if (!has_control_characters(out)) return out;
  note(name, "Contém caracteres inválidos");
  return {};
}

std::string form::text(std::string_view name, std::size_t least, std::size_t most) {
  if (lacks(name)) return note(name, missing), "";
  auto given = read(name);
  if (!given) return {};
  auto length = characters_of(*given);
  if (length < least || length > most) return note(name, between(least, most)), "";
  return *given;
}

std::string form::maybe_text(std::string_view name, std::size_t most) {
  auto given = read(name).value_or("");
  if (characters_of(given) > most) return note(name, between(0, most)), "";
  return given;
}

std::string form::id(std::string_view name) {
  auto given = text(name, 1, 128);
  auto plain = std::ranges::all_of(given, [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_' || c == '.' || c == ':';
  });
  if (!plain) return note(name, "Identificador inválido"), "";
  return given;
}

std::string form::choice(std::string_view name, std::initializer_list<std::string_view> of) {
  if (lacks(name)) return note(name, missing), "";
  auto given = read(name);
  if (!given) return {};
  if (std::ranges::find(of, *given) != of.end()) return *given;
  std::string all;
  for (auto each : of) all.append(all.empty() ? "" : ", ").append(each);
  note(name, "Deve ser um de: " + all);
  return {};
}

std::int64_t form::integer(std::string_view name, std::int64_t least, std::int64_t most) {
  const auto* v = find(name);
  if (!v) return note(name, missing), 0;
  auto n = v->is_string() ? std::nullopt : number_of(*v);
  if (!n || n->rounded(0) != *n || *n < decimal{least} || *n > decimal{most}) {
    note(name,
         "Deve ser um número inteiro de " + std::to_string(least) + " a " + std::to_string(most));
    return 0;
  }
  return std::stoll(n->str());
}

decimal form::money(std::string_view name) {
  static const auto most = *decimal::parse("9999999999.99");
  const auto* v = find(name);
  if (!v) return note(name, missing), decimal{};
  auto n = number_of(*v);
  if (n && *n >= decimal{} && *n <= most && n->rounded(2) == *n) return *n;
  note(name, "Valor inválido");
  return {};
}

std::optional<date> form::day(std::string_view name) {
  if (lacks(name)) return note(name, missing), std::nullopt;
  auto given = read(name);
  if (!given) return {};
  if (auto out = parse_date(*given)) return out;
  if (auto at = parse_iso(*given); at && start_of_day(*at) == *at) return date_of(*at);
  note(name, "Data inválida");
  return {};
}

std::optional<time_point> form::time(std::string_view name) {
  if (lacks(name)) return note(name, missing), std::nullopt;
  auto given = read(name);
  if (!given) return {};
  auto out = parse_iso(*given);
  if (!out) note(name, "Data e hora inválidas");
  return out;
}

std::string form::person(std::string_view name) {
  if (lacks(name)) return note(name, missing), "";
  auto given = read(name);
  if (!given) return {};
  auto length = characters_of(*given);
  if (length < 3) return note(name, "Nome deve ter pelo menos 3 caracteres"), "";
  if (length > 255) return note(name, "Nome deve ter no máximo 255 caracteres"), "";
  return *given;
}

std::string form::email(std::string_view name) {
  if (lacks(name)) return note(name, missing), "";
  auto given = read(name);
  if (!given) return {};
  auto out = lower_case(*given);
  if (!is_email(out)) return note(name, "Email inválido"), "";
  return out;
}

std::string form::cpf(std::string_view name) {
  if (lacks(name)) return note(name, missing), "";
  auto given = read(name);
  if (!given) return {};
  auto out = brazil::cpf_of(*given);
  if (!out) note(name, "CPF inválido");
  return out.value_or("");
}

std::string form::phone(std::string_view name) {
  if (lacks(name)) return note(name, missing), "";
  auto given = read(name);
  if (!given) return {};
  auto out = brazil::phone_of(*given);
  if (!out) note(name, "Telefone inválido");
  return out.value_or("");
}

std::optional<date> form::birth_date(std::string_view name, time_point now) {
  if (lacks(name)) return note(name, missing), std::nullopt;
  auto given = read(name);
  if (!given) return {};
  auto out = parse_date(*given, earliest_birth);
  if (out && start_of(*out) < start_of_day(now)) return out;
  note(name, "Data de nascimento inválida");
  return {};
}

std::string form::address(std::string_view name) {
  const auto* v = find(name);
  if (!v) return note(name, missing), "";
  if (!v->is_object()) return note(name, "Endereço inválido"), "";
  const auto& inside = v->get_object();
  form parts{inside};
  json::object out;
  auto add = [&](const char* part, std::string value) { out.add(part, std::move(value)); };
  auto add_optional = [&](const char* part) {
    auto value = parts.maybe_text(part, 100);
    if (inside.contains(part)) out.add(part, value.empty() ? json::value{} : json::value{value});
  };
  add("street", parts.text("street", 1, 200));
  add("number", parts.text("number", 1, 10));
  add_optional("complement");
  add_optional("neighborhood");
  add("city", parts.text("city", 2, 100));
  auto state = parts.text("state", 1, 100);
  if (!state.empty() && !brazil::is_state(state)) parts.note("state", "Estado inválido");
  add("state", state);
  auto typed = parts.text("zipCode", 1, 100);
  auto code = brazil::postal_code_of(typed);
  if (!typed.empty() && !code) parts.note("zipCode", "CEP inválido");
  add("zipCode", code.value_or(""));
  for (const auto& p : parts.problems()) note(std::string{name} + "." + p.field, p.text);
  return json::to_text(out);
}

} // namespace binnacle::http
