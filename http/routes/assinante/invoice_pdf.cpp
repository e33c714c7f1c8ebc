#include "integrations/invoice_pdf.hpp"

#include "config/base/json.hpp"
#include "config/base/text.hpp"
#include "http/routes/assinante/handlers.hpp"
#include "persistence/assinante_invoices.hpp"
#include "persistence/subscribers.hpp"

#include <boost/json/value.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <cctype>

namespace binnacle::http {
namespace {

namespace sql = persistence::assinante;

struct billed {
  sql::subscriber who{};
  sql::invoice what{};
};

/// Only what was paid has a document. Of others' there is none, as far as the caller can tell.
result<billed> load_billed(persistence::transaction& tx, const user_id& who,
                           const std::string& id) {
  auto subscriber = sql::find_subscriber(tx, who);
  if (!subscriber) return subscriber.error();
  if (!*subscriber) return fault{errc::not_found, "User not found", {}, {}};
  auto invoice = sql::find_invoice(tx, who, id);
  if (!invoice) return invoice.error();
  if (!*invoice || (*invoice)->status != "paid")
    return fault{errc::not_found, "Fatura não encontrada", {}, {}};
  return billed{std::move(**subscriber), std::move(**invoice)};
}

/// "Rua das Flores, 123 - Apto 4", "Centro", "Caratinga - MG, 35300-000"
std::vector<std::string> lines_of(const std::string& address) {
  if (address.empty()) return {};
  auto document = json::parse(address);
  if (!document || !document->is_object()) return {};
  auto part = [&](const char* name) -> std::string {
    const auto* v = document->get_object().if_contains(name);
    return v && v->is_string() ? std::string{v->get_string().c_str()} : std::string{};
  };
  auto street = part("street") + ", " + part("number");
  if (auto more = part("complement"); !more.empty()) street += " - " + more;
  std::vector<std::string> out{street};
  if (auto area = part("neighborhood"); !area.empty()) out.push_back(area);
  out.push_back(part("city") + " - " + part("state") + ", " + part("zipCode"));
  return out;
}

std::string method_in_words(const std::string& method) {
  if (method == "credit_card") return "Cartão de crédito";
  if (method == "debit_card") return "Cartão de débito";
  return method == "pix" ? "Pix" : "Boleto";
}

/// The name in front of the address that our mails are from.
std::string seller_of(const settings& config) {
  const auto& from = config.mail.from;
  return std::string{trimmed(from.substr(0, from.find('<')))};
}

integrations::invoice_document document_of(const billed& b, const std::string& seller) {
  return {.seller = seller,
          .number = b.what.number,
          .customer = b.who.name.empty() ? b.who.email : b.who.name,
          .address = lines_of(b.who.address),
          .description = b.what.description,
          .amount = b.what.amount,
          .payment_method = method_in_words(b.what.payment_method),
          .issued_at = b.what.created_at,
          .due = b.what.due_date,
          .paid_at = b.what.paid_at};
}

/// What may stand in a quoted string of Content-Disposition as it is (RFC 6266).
std::string file_name_of(const std::string& number) {
  std::string out;
  for (unsigned char c : number)
    out += std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' ? static_cast<char>(c) : '-';
  return "fatura-" + out + ".pdf";
}

} // namespace

task<result<response>> get_invoice_pdf(context& ctx) {
  auto found = co_await ctx.snapshot(load_billed, ctx.who().id, ctx.req.params.front());
  if (!found) co_return found.error();
  auto document = document_of(*found, seller_of(ctx.app.config));
  auto draw = [document] { return integrations::draw_invoice(document); };
  auto pdf = co_await ctx.compute(draw);
  if (!pdf) co_return pdf.error();
  response out;
  out.body = std::move(*pdf);
  out.content_type = "application/pdf";
  out.headers.emplace_back("Content-Disposition",
                           "inline; filename=\"" + file_name_of(found->what.number) + "\"");
  out.cache = caching::no_store;
  co_return out;
}

} // namespace binnacle::http
