#include "config/base/json.hpp"
#include "config/base/text.hpp"
#include "http/routes/assinante/admin_handlers.hpp"
#include "http/routes/assinante/handlers.hpp"
#include "http/routes/assinante/paging.hpp"
#include "http/routes/assinante/records.hpp"
#include "http/routes/body.hpp"
#include "http/routes/replies.hpp"
#include "persistence/users.hpp"

#include <caf/typed_event_based_actor.hpp>

namespace binnacle::http {
namespace {

namespace sql = persistence::assinante;
using persistence::transaction;
using sql::outcome;

constexpr std::int64_t rows_by_default = 50;
constexpr std::int64_t most_rows = 200;

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value{} : json::value{text};
}
json::value document_or_null(const std::string& text) {
  return text.empty() ? json::value{} : json::value{json::raw{text}};
}
json::value moment_or_null(const std::optional<time_point>& at) {
  return at ? json::value{format_iso_ms(*at)} : json::value{};
}

// With the names that the same row has when it is sent.

json::object to_json(const sql::subscription& s) {
  return {{"id", s.id},
          {"userId", s.who.value},
          {"planName", s.plan_name},
          {"status", s.status},
          {"price", s.price},
          {"startDate", format_date(start_of(s.start_date))},
          {"renewalDate", format_date(start_of(s.renewal_date))},
          {"paymentMethod", s.payment_method},
          {"paymentMethodLast4", text_or_null(s.payment_method_last4)},
          {"shippingAddress", document_or_null(s.shipping_address)},
          {"benefits", json::raw{s.benefits}},
          {"stripeSubscriptionId", text_or_null(s.stripe_subscription)},
          {"createdAt", format_iso_ms(s.created_at)}};
}

json::object to_json(const sql::order& o) {
  return {{"id", o.id},
          {"subscriptionId", o.subscription},
          {"orderNumber", o.number},
          {"status", upper_case(o.status)},
          {"totalAmount", o.total},
          {"items", json::raw{o.items}},
          {"shippingAddress", document_or_null(o.shipping_address)},
          {"trackingCode", text_or_null(o.tracking_code)},
          {"shippedAt", moment_or_null(o.shipped_at)},
          {"deliveredAt", moment_or_null(o.delivered_at)},
          {"createdAt", format_iso_ms(o.created_at)}};
}

json::object to_json(const sql::invoice& i) {
  return {{"id", i.id},
          {"subscriptionId", i.subscription},
          {"invoiceNumber", i.number},
          {"status", upper_case(i.status)},
          {"amount", i.amount},
          {"description", i.description},
          {"dueDate", format_date(start_of(i.due_date))},
          {"paidAt", moment_or_null(i.paid_at)},
          {"paymentMethod", i.payment_method},
          {"stripeInvoiceId", text_or_null(i.stripe_invoice)},
          {"createdAt", format_iso_ms(i.created_at)}};
}

// What the audit log tells of a row: nothing of whose it is.

json::object gist_of(const sql::subscription& s) {
  return {{"status", s.status}, {"price", s.price}};
}
json::object gist_of(const sql::order& o) { return {{"status", o.status}, {"total", o.total}}; }
json::object gist_of(const sql::invoice& i) { return {{"status", i.status}, {"amount", i.amount}}; }

/// What the three kinds of rows differ in.
struct subscriptions_kind {
  using row = sql::subscription;
  static constexpr auto name = "subscription", plural = "subscriptions", prefix = "sub_";
  static constexpr auto parent = "userId";
  static constexpr auto find = sql::find_subscription;
  static constexpr auto list = sql::list_subscriptions;
};
struct orders_kind {
  using row = sql::order;
  static constexpr auto name = "order", plural = "orders", prefix = "ord_";
  static constexpr auto parent = "subscriptionId";
  static constexpr auto find = sql::find_order;
  static constexpr auto list = sql::list_orders;
};
struct invoices_kind {
  using row = sql::invoice;
  static constexpr auto name = "invoice", plural = "invoices", prefix = "inv_";
  static constexpr auto parent = "subscriptionId";
  static constexpr auto find = sql::find_any_invoice;
  static constexpr auto list = sql::list_invoices;
};

fault no_such_row() { return {errc::not_found, {}, {}, {}}; }

// -- reading -------------------------------------------------------------------------------------

template <class Kind>
task<result<response>> list_rows(context& ctx) {
  page_query asked{ctx.req};
  sql::listing what;
  what.limit = asked.limit(rows_by_default, most_rows);
  if (!asked.problems().empty()) co_return bad_fields(asked.problems());
  what.who = {ctx.req.parameter("userId").value_or("")};
  what.subscription = ctx.req.parameter("subscriptionId").value_or("");
  what.status = lower_case(ctx.req.parameter("status").value_or(""));
  what.after = ctx.req.parameter("cursor").value_or("");
  auto wanted = what.limit++; // one more tells whether there is another page
  auto found = co_await ctx.read(Kind::list, what);
  if (!found) co_return found.error();
  json::value next;
  if (std::ssize(*found) > wanted) {
    found->pop_back();
    next = json::value{found->back().id};
  }
  json::array rows;
  for (const auto& each : *found) rows.emplace_back(to_json(each));
  co_return json_reply({{Kind::plural, std::move(rows)}, {"nextCursor", std::move(next)}}, 200,
                       caching::no_store);
}

template <class Kind>
task<result<response>> show_row(context& ctx) {
  auto found = co_await ctx.read(Kind::find, ctx.req.params.at(0));
  if (!found) co_return found.error();
  if (!*found) co_return no_such_row();
  co_return json_reply({{Kind::name, to_json(**found)}}, 200, caching::no_store);
}

// -- writing -------------------------------------------------------------------------------------

/// Who writes it, and what for: the audit log's part of a row.
struct deed {
  sql::author by{};
  persistence::audit_entry entry{};
  bool is_new = false;
  time_point now{};
};

template <class Kind>
deed deed_of(const context& ctx, const std::string& id, bool is_new) {
  deed out{.by = author_of(ctx), .entry = {}, .is_new = is_new, .now = ctx.now()};
  out.entry.actor = ctx.who().id;
  out.entry.action = "ASSINANTE_" + upper_case(Kind::name) + (is_new ? "_CREATED" : "_UPDATED");
  out.entry.target = id;
  out.entry.address = ctx.req.client_address;
  return out;
}

result<std::vector<outcome>> upsert(transaction& tx, const sql::subscription& s, const deed& d) {
  return sql::upsert_subscriptions(tx, {s}, d.by, d.now);
}
result<std::vector<outcome>> upsert(transaction& tx, const sql::order& o, const deed& d) {
  return sql::upsert_orders(tx, {o}, d.now);
}
result<std::vector<outcome>> upsert(transaction& tx, const sql::invoice& i, const deed& d) {
  return sql::upsert_invoices(tx, {i}, d.now);
}

/// In the audit log: what the row is now, and was before.
template <class Row>
result<done> note(transaction& tx, const std::optional<Row>& before, const Row& now,
                  const deed& d) {
  json::object detail{{"now", gist_of(now)}};
  if (before) detail.add("before", gist_of(*before));
  auto entry = d.entry;
  entry.detail = json::to_text(detail);
  return persistence::write_audit(tx, entry, d.now);
}

/// A new row must be new, and one that is changed must be there. Two admins who make one at the
/// same moment: the second one changes what the first has made.
template <class Kind>
result<typename Kind::row> write_row(transaction& tx, typename Kind::row what, const deed& d) {
  auto before = Kind::find(tx, what.id);
  if (!before) return before.error();
  if (d.is_new && *before)
    return fault{errc::conflict, "Já existe um registro com este id", "id", {}};
  if (!d.is_new && !*before) return no_such_row();
  // To the millisecond, as it is shown: what is read can be sent back.
  if (what.created_at == time_point{})
    what.created_at = d.is_new ? std::chrono::floor<milliseconds>(d.now) : (*before)->created_at;
  auto put = upsert(tx, what, d);
  if (!put) return put.error();
  if (put->front() == outcome::orphaned) return bad_field(Kind::parent, "Não encontrado");
  if (put->front() == outcome::foreign)
    return fault{errc::conflict, "Pertence a outro assinante", Kind::parent, {}};
  if (put->front() != outcome::unchanged)
    if (auto noted = note(tx, *before, what, d); !noted) return noted.error();
  auto after = Kind::find(tx, what.id);
  if (!after) return after.error();
  return std::move(**after);
}

/// A subscription may name its subscriber by address; whoever has it becomes one.
result<sql::subscription> write_subscription(transaction& tx, records::subscription_record given,
                                             const deed& d) {
  if (!given.email.empty()) {
    sql::subscriber who{.email = given.email, .created_at = d.now};
    auto put = sql::upsert_subscriber(tx, who, {}, make_id<user_id>("usr_", d.now), d.now);
    if (!put) return put.error();
    given.what.who = put->who;
  }
  return write_row<subscriptions_kind>(tx, std::move(given.what), d);
}

/// Its id is that of the path, or the body's, or new.
template <class Kind>
result<done> settle_id(const context& ctx, std::string& id) {
  if (ctx.req.params.empty()) {
    if (id.empty()) id = make_id<user_id>(Kind::prefix, ctx.now()).value;
    return done{};
  }
  const auto& in_path = ctx.req.params.front();
  if (!id.empty() && id != in_path) return bad_field("id", "Diferente do identificador do caminho");
  id = in_path;
  return done{};
}

template <class Kind>
response show(const typename Kind::row& row, bool is_new) {
  return written({{Kind::name, to_json(row)}}, is_new ? 201 : 200);
}

task<result<response>> put_subscription_row(context& ctx, bool is_new) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  auto given = records::read_subscription(body->object(), records::source::admin);
  if (!given) co_return given.error();
  if (auto ok = settle_id<subscriptions_kind>(ctx, given->what.id); !ok) co_return ok.error();
  auto deed = deed_of<subscriptions_kind>(ctx, given->what.id, is_new);
  auto stored = co_await ctx.write(write_subscription, *given, deed);
  if (!stored) co_return stored.error();
  co_return show<subscriptions_kind>(*stored, is_new);
}

template <class Kind>
task<result<response>> put_row(context& ctx, bool is_new,
                               result<typename Kind::row> (*read)(const boost::json::object&,
                                                                  records::source)) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  auto given = read(body->object(), records::source::admin);
  if (!given) co_return given.error();
  if (auto ok = settle_id<Kind>(ctx, given->id); !ok) co_return ok.error();
  auto deed = deed_of<Kind>(ctx, given->id, is_new);
  auto stored = co_await ctx.write(write_row<Kind>, *given, deed);
  if (!stored) co_return stored.error();
  co_return show<Kind>(*stored, is_new);
}

constexpr bool is_new = true;

} // namespace

task<result<response>> get_subscription_rows(context& ctx) {
  return list_rows<subscriptions_kind>(ctx);
}
task<result<response>> get_subscription_row(context& ctx) {
  return show_row<subscriptions_kind>(ctx);
}
task<result<response>> post_subscription_row(context& ctx) {
  return put_subscription_row(ctx, is_new);
}
task<result<response>> put_subscription_row(context& ctx) {
  return put_subscription_row(ctx, !is_new);
}

task<result<response>> get_order_rows(context& ctx) { return list_rows<orders_kind>(ctx); }
task<result<response>> get_order_row(context& ctx) { return show_row<orders_kind>(ctx); }
task<result<response>> post_order_row(context& ctx) {
  return put_row<orders_kind>(ctx, is_new, records::read_order);
}
task<result<response>> put_order_row(context& ctx) {
  return put_row<orders_kind>(ctx, !is_new, records::read_order);
}

task<result<response>> get_invoice_rows(context& ctx) { return list_rows<invoices_kind>(ctx); }
task<result<response>> get_invoice_row(context& ctx) { return show_row<invoices_kind>(ctx); }
task<result<response>> post_invoice_row(context& ctx) {
  return put_row<invoices_kind>(ctx, is_new, records::read_invoice);
}
task<result<response>> put_invoice_row(context& ctx) {
  return put_row<invoices_kind>(ctx, !is_new, records::read_invoice);
}

} // namespace binnacle::http
