/// What Brazil's forms ask for: CPF, telephone numbers, postal codes, states. Pure functions that
/// take what a person typed and give the canonical form, or nothing when it is none.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace binnacle::brazil {

/// "123.456.789-09" -> "12345678909": eleven digits, not all the same, whose last two are the check
/// digits (Receita Federal: weights 10 to 2 and 11 to 2, modulo 11). Points and the hyphen only,
/// where they belong or not at all.
std::optional<std::string> cpf_of(std::string_view text);

/// "(33) 99989-8026", "+55 33 99989-8026", "5533999898026" -> "5533999898026": an area code of 11
/// to 99 without a zero, and a number of eight digits, or of nine of which the first is a 9
/// (Anatel, Resolução 749/2022). With or without the country's 55.
std::optional<std::string> phone_of(std::string_view text);

/// "35300000" and "35300-000" -> "35300-000".
std::optional<std::string> postal_code_of(std::string_view text);

/// One of the 26 states or the federal district, in capitals: "MG".
bool is_state(std::string_view text);

} // namespace binnacle::brazil
