#include "http/routes/dialect.hpp"
#include "http/object_reply.hpp"
#include "http/surfaces.hpp"

namespace binnacle::http {
namespace {

// hub.md §1.6. Its types are a closed set; what has none of its own takes the nearest.
constexpr error_table rows{{
    {errc::none, "server_error", "Interner Serverfehler"},
    {errc::bad_request, "validation_error", "Ungültige Eingabedaten"},
    {errc::unauthenticated, "auth_error", "Unauthorized"},
    {errc::forbidden, "forbidden", "Zugriff verweigert"},
    {errc::not_found, "not_found", "Ressource nicht gefunden"},
    {errc::method_not_allowed, "method_not_allowed", "Method Not Allowed"},
    {errc::conflict, "validation_error", "Konflikt mit dem aktuellen Stand"},
    {errc::gone, "not_found", "Nicht mehr verfügbar"},
    {errc::payload_too_large, "validation_error", "Die Anfrage ist zu groß"},
    {errc::unsupported_media_type, "validation_error", "Nicht unterstützter Inhaltstyp"},
    {errc::unprocessable, "validation_error", "Die Anfrage kann nicht verarbeitet werden"},
    {errc::rate_limited, "rate_limit", "Zu viele Anfragen"},
    {errc::not_implemented, "server_error", "Nicht verfügbar"},
    {errc::internal, "server_error", "Interner Serverfehler"},
    {errc::upstream_failed, "server_error", "Ein externer Dienst hat nicht geantwortet"},
    {errc::unavailable, "server_error", "Dienst vorübergehend nicht verfügbar"},
    {errc::overloaded, "server_error", "Dienst vorübergehend überlastet"},
    {errc::timed_out, "server_error", "Die Anfrage hat zu lange gedauert"},
    {errc::request_timeout, "validation_error", "Die Anfrage kam nicht rechtzeitig an"},
    {errc::target_too_long, "validation_error", "Die Adresse ist zu lang"},
    {errc::head_too_large, "validation_error", "Die Kopfzeilen sind zu groß"},
    {errc::expectation_failed, "validation_error", "Nicht unterstützte Erwartung"},
    {errc::version_not_supported, "validation_error", "Nicht unterstützte HTTP-Version"},
    {errc::in_progress, "validation_error",
     "Eine Anfrage mit diesem Idempotency-Key wird noch bearbeitet"},
}};
static_assert(in_order(rows));

constexpr std::array translations{
    translation{"Invalid file type", "Ungültiger Dateityp"},
    translation{"The picture has too many pixels", "Das Bild hat zu viele Bildpunkte"},
    translation{"The picture is damaged", "Das Bild ist beschädigt"},
    translation{"The upload took too long", "Das Hochladen hat zu lange gedauert"},
    translation{"Account is suspended", "Das Konto ist gesperrt"},
    translation{"Account has been deleted", "Das Konto wurde gelöscht"},
    translation{"Billing is managed by the account owner",
                "Die Abrechnung verwaltet der Inhaber des Kontos"},
    translation{
        "A subscription is active: change or cancel it in the billing portal",
        "Es läuft bereits ein Abonnement: Bitte ändern oder kündigen Sie es im Kundenportal"},
    translation{"There are too many projects", "Es gibt zu viele Projekte"},
    translation{"There are too many tasks", "Es gibt zu viele Aufgaben"},
    translation{"Unknown referral code", "Unbekannter Empfehlungscode"},
    translation{"This is your own referral code", "Das ist Ihr eigener Empfehlungscode"},
    translation{"Another referral came first", "Eine andere Empfehlung war früher"},
    translation{"Only new customers can be referred", "Nur neue Kunden können empfohlen werden"},
    translation{"Too many requests at once", "Zu viele gleichzeitige Anfragen"},
    translation{"This Idempotency-Key was used with another request",
                "Dieser Idempotency-Key wurde für eine andere Anfrage verwendet"},
    translation{"Idempotency-Key must be 1 to 255 printable ASCII characters",
                "Idempotency-Key muss aus 1 bis 255 druckbaren ASCII-Zeichen bestehen"},
};

/// Under which what is wrong with no field of its own stands.
constexpr std::string_view whole_body = "_form";

/// "Invalid JSON body: pack must be …" of a field: the message is the same for all of them (§1.6),
/// what is wrong stands in the details, nested as clients know it.
void add_details(json::object& error, failure& shown, const std::string& field) {
  auto colon = shown.text.find(": ");
  if (field.empty() || !shown.text.starts_with("Invalid JSON body: ")) return;
  json::array why{shown.text.substr(colon + 2)};
  json::array path, issues;
  if (field != whole_body) path.emplace_back(field);
  issues.emplace_back(json::object{
      {"path", std::move(path)}, {"code", "custom"}, {"message", shown.text.substr(colon + 2)}});
  json::object fields{{field, std::move(why)}};
  json::object details{{"fieldErrors", std::move(fields)}, {"issues", std::move(issues)}};
  shown.text.resize(colon);
  error.add("details", json::object{{"details", std::move(details)}});
}

/// The object proxies speak plain text (§8, §9), and do not tell a path that names no object from
/// one that names none that is there.
response render_plainly(const fault& f, std::string_view path) {
  auto is_avatar = path.starts_with("/r2/");
  switch (f.code) {
  case errc::bad_request:
  case errc::not_found:
    return plain_text(404, is_avatar ? "File not found" : "Not found");
  case errc::method_not_allowed:
    return plain_text(405, "Method Not Allowed");
  case errc::internal:
  case errc::upstream_failed:
    return plain_text(500, "Internal server error");
  default:
    return plain_text(binnacle::describe(f.code).status, binnacle::describe(f.code).text);
  }
}

response render(const fault& f, const exchange& x) {
  if (x.req.path.starts_with("/r2/") || x.req.path.starts_with("/r2-ai/"))
    return render_plainly(f, x.req.path);
  auto shown = describe(f, rows, translations);
  if (f.code == errc::unauthenticated && x.req.path == "/api/user/avatar")
    shown.text = "Für diese Aktion ist eine Anmeldung erforderlich"; // §6
  if (f.code == errc::conflict && x.req.path == "/api/billing/session")
    shown.status = 400, shown.name = "subscription_active"; // §1.6
  if (f.code == errc::rate_limited)
    return present(shown, {{"error", "Rate limit exceeded"}, {"retryAfter", retry_after(x)}}, x);
  json::object more;
  add_details(more, shown, f.field);
  json::object error{{"type", shown.name}, {"message", shown.text}};
  for (const auto& [name, value] : more.members()) error.add(name, value);
  return present(shown, {{"success", false}, {"error", std::move(error)}}, x);
}

} // namespace

const surface hub{.name = "hub",
                  .order = {check::csrf, check::limit, check::authentication},
                  .render = render,
                  .csrf_before_method = csrf::origin, // hub.md §1
                  .session_cookie = "__Host-session",
                  .other_session_cookies = {"session_id", "session"}};

} // namespace binnacle::http
