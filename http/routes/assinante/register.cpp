#include "http/routes/assinante/form.hpp"
#include "http/routes/assinante/handlers.hpp"
#include "http/routes/body.hpp"
#include "http/routes/replies.hpp"
#include "persistence/subscribers.hpp"

namespace binnacle::http {
namespace {

namespace sql = persistence::assinante;

/// The address of the account that the credential is of; empty: it has none.
const std::string& address_of_account(const context& ctx) {
  const auto& claimed = ctx.presented()->email;
  return claimed.empty() ? ctx.who().email : claimed;
}

/// How the contract names whoever is logged in: by the subject of their token. Accounts kept here
/// go by their own id.
const std::string& uid_of(const context& ctx) {
  const auto& subject = ctx.presented()->subject;
  return subject.empty() ? ctx.who().id.value : subject;
}

sql::subscriber read_subscriber(form& given, const context& ctx) {
  sql::subscriber out;
  out.id = ctx.who().id;
  out.name = given.person("name");
  out.email = given.email("email");
  out.phone = given.phone("phone");
  out.cpf = given.cpf("cpf");
  out.birth_date = given.birth_date("birthDate", ctx.now());
  out.address = given.address("address");
  return out;
}

} // namespace

task<result<response>> post_register(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  form given{body->object()};
  auto fresh = read_subscriber(given, ctx);
  const auto& known = address_of_account(ctx);
  if (!fresh.email.empty() && !known.empty() && fresh.email != known) {
    given.note("email", "Email diferente do email da conta");
  } else if (!fresh.email.empty() && !given.problems().empty()) {
    // With the other problems, as the contract has it; alone it is found when it is stored.
    auto taken = co_await ctx.read(sql::is_email_taken, ctx.who().id, fresh.email);
    if (!taken) co_return taken.error();
    if (*taken) given.note("email", "Email já cadastrado");
  }
  if (!given.problems().empty()) co_return given.refusal();
  auto now = ctx.now();
  auto by = author_of(ctx);
  auto registered = co_await ctx.write(sql::register_subscriber, fresh, by, now);
  if (!registered) {
    auto why = registered.error();
    if (why.field == "email") co_return bad_field("email", "Email já cadastrado");
    co_return why;
  }
  json::object user{{"id", fresh.id.value}, {"firebaseUid", uid_of(ctx)},
                    {"name", fresh.name},   {"email", fresh.email},
                    {"phone", fresh.phone}, {"createdAt", format_iso_ms(now)}};
  co_return written({{"message", "Usuário registrado com sucesso"}, {"user", std::move(user)}},
                    201);
}

} // namespace binnacle::http
