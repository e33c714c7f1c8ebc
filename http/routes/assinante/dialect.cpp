#include "http/routes/dialect.hpp"
#include "config/base/text.hpp"
#include "http/surfaces.hpp"

namespace binnacle::http {
namespace {

// assinante.md §2.
constexpr error_table rows{{
    {errc::none, "INTERNAL_ERROR", "Erro interno do servidor"},
    {errc::bad_request, "VALIDATION_ERROR", "Dados inválidos"},
    {errc::unauthenticated, "UNAUTHORIZED", "Token inválido ou expirado"},
    {errc::forbidden, "FORBIDDEN", "Acesso negado"},
    {errc::not_found, "NOT_FOUND", "Recurso não encontrado"},
    {errc::method_not_allowed, "METHOD_NOT_ALLOWED", "Método não permitido"},
    {errc::conflict, "CONFLICT", "Conflito com o estado atual"},
    {errc::gone, "NOT_FOUND", "Recurso não está mais disponível"},
    {errc::payload_too_large, "VALIDATION_ERROR", "Requisição muito grande"},
    {errc::unsupported_media_type, "VALIDATION_ERROR", "Tipo de conteúdo não suportado"},
    {errc::unprocessable, "VALIDATION_ERROR", "Não foi possível processar os dados"},
    {errc::rate_limited, "RATE_LIMIT_EXCEEDED", "Too many requests. Please try again later."},
    {errc::not_implemented, "INTERNAL_ERROR", "Operação não disponível"},
    {errc::internal, "INTERNAL_ERROR", "Erro interno do servidor"},
    {errc::upstream_failed, "SERVICE_UNAVAILABLE", "Um serviço externo não respondeu"},
    {errc::unavailable, "SERVICE_UNAVAILABLE", "Serviço temporariamente indisponível"},
    {errc::overloaded, "SERVICE_UNAVAILABLE", "Serviço temporariamente sobrecarregado"},
    {errc::timed_out, "SERVICE_UNAVAILABLE", "A requisição demorou demais"},
    {errc::request_timeout, "VALIDATION_ERROR", "A requisição não chegou a tempo"},
    {errc::target_too_long, "VALIDATION_ERROR", "Endereço muito longo"},
    {errc::head_too_large, "VALIDATION_ERROR", "Cabeçalhos muito grandes"},
    {errc::expectation_failed, "VALIDATION_ERROR", "Expectativa não suportada"},
    {errc::version_not_supported, "VALIDATION_ERROR", "Versão de HTTP não suportada"},
    {errc::in_progress, "CONFLICT",
     "Uma requisição com esta Idempotency-Key ainda está em andamento"},
}};
static_assert(in_order(rows));

std::string text_of(errc code) { return std::string{rows[static_cast<std::size_t>(code)].text}; }

/// Its 503 says that there is no subscription, too.
constexpr std::string_view subscription_path = "/api/assinante/subscription";

constexpr std::array translations{
    translation{"Invalid JSON body", "JSON inválido"},
    translation{"The body must be a JSON object", "O corpo deve ser um objeto JSON"},
    translation{"Content-Type must be application/json", "Content-Type deve ser application/json"},
    translation{"Invalid path parameter", "Parâmetro inválido no caminho"},
    translation{"Authentication is not configured",
                "Serviço de autenticação temporariamente indisponível"},
    translation{"User not found", "Usuário não encontrado"},
    translation{"User already registered", "Usuário já cadastrado"},
    translation{"Subscription not found", "Assinatura não encontrada"},
    translation{"Email already registered", "Email já cadastrado"},
    translation{"Another subscription follows this one of Stripe's",
                "Outra assinatura já segue esta do Stripe"},
    translation{"Another invoice follows this one of Stripe's",
                "Outra fatura já segue esta do Stripe"},
    translation{"Account is suspended", "Conta suspensa"},
    translation{"Account has been deleted", "Conta excluída"},
    translation{"Too many requests at once", "Muitas requisições simultâneas"},
    translation{"This Idempotency-Key was used with another request",
                "Esta Idempotency-Key foi usada com outra requisição"},
    translation{"Idempotency-Key must be 1 to 255 printable ASCII characters",
                "Idempotency-Key deve ter de 1 a 255 caracteres ASCII imprimíveis"},
};

bool brings_token(const request& req) {
  constexpr std::string_view scheme = "bearer ";
  return lower_case(req.at(field::authorization).substr(0, scheme.size())) == scheme;
}

/// Of each wrong field, with the body's message for all of them.
json::array details_of(const fault& f, const std::string& text) {
  if (f.fields.empty()) return {json::object{{"field", f.field}, {"message", text}}};
  json::array out;
  for (const auto& p : f.fields)
    out.emplace_back(json::object{{"field", p.field}, {"message", p.text}});
  return out;
}

response render(const fault& f, const exchange& x) {
  auto shown = describe(f, rows, translations);
  if (is_csrf_refusal(f)) {
    shown.name = "CSRF_TOKEN_INVALID";
    shown.text = "Token CSRF inválido ou ausente";
  }
  if (f.code == errc::unauthenticated && f.text.empty() && !brings_token(x.req))
    shown.text = "Token de autenticação não fornecido";
  json::array details;
  if (f.code == errc::bad_request && !f.field.empty()) {
    details = details_of(f, shown.text);
    shown.text = text_of(errc::bad_request);
  }
  json::object body{{"error", shown.name}, {"message", shown.text}};
  if (!details.empty()) body.add("details", std::move(details));
  if (shown.status == 503 && x.matched && x.matched->path == subscription_path)
    body.add("subscription", nullptr);
  if (f.code == errc::rate_limited) body.add("retryAfter", retry_after(x));
  return present(shown, body, x);
}

} // namespace

const surface assinante{.name = "assinante",
                        .order = {check::csrf, check::limit, check::authentication},
                        .render = render};

const surface assinante_admin{.name = "assinante",
                              .order = {check::limit, check::authentication, check::csrf},
                              .render = render,
                              .session_cookie = "session",
                              .other_session_cookies = {"appSession", "__Host-session"},
                              .of_all_surfaces = true};

} // namespace binnacle::http
