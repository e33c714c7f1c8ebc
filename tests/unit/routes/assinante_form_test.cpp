#include "http/routes/assinante/form.hpp"

#include "config/base/json.hpp"

#include <boost/json/value.hpp>
#include <gtest/gtest.h>

namespace binnacle::http {
namespace {

class AssinanteForm : public testing::Test {
protected:
  /// Reads one field of a document.
  template <class Read>
  auto reading(const char* text, Read read) {
    document = json::parse(text)->get_object();
    form given{document};
    auto out = read(given);
    problems = given.problems();
    return out;
  }
  std::string address(const std::string& inside) {
    return reading((R"({"a":)" + inside + "}").c_str(), [](form& f) { return f.address("a"); });
  }
  /// The fields with problems, and the text of the first.
  std::string refused() const {
    std::string out;
    for (const auto& p : problems) out += p.field + ",";
    return out + (problems.empty() ? "" : problems.front().text);
  }

  boost::json::object document{};
  std::vector<field_problem> problems{};
};

TEST_F(AssinanteForm, KeepsAnAddressInItsCanonicalFormWithWhatWasGiven) {
  EXPECT_EQ(address(R"({"street":" Rua Nova ","number":"456","complement":null,"city":"Caratinga",)"
                    R"("state":"MG","zipCode":"35300100","extra":1})"),
            R"({"street":"Rua Nova","number":"456","complement":null,"city":"Caratinga",)"
            R"("state":"MG","zipCode":"35300-100"})");
  EXPECT_EQ(refused(), "");
}

TEST_F(AssinanteForm, NamesEveryWrongPartOfAnAddress) {
  address(R"({"street":"","number":"12345678901","city":"X","state":"mg","zipCode":"1"})");
  EXPECT_EQ(refused(), "a.street,a.number,a.city,a.state,a.zipCode,Deve ter de 1 a 200 caracteres");
  address(
      R"({"street":7,"number":"1","complement":["x"],"city":"São","state":"SP","zipCode":"01001000"})");
  EXPECT_EQ(refused(), "a.street,a.complement,Deve ser um texto");
  address("null");
  EXPECT_EQ(refused(), "a,Campo obrigatório");
  address("[]");
  EXPECT_EQ(refused(), "a,Endereço inválido");
}

TEST_F(AssinanteForm, CountsCharactersNotBytes) {
  auto person = [](form& f) { return f.person("n"); };

  EXPECT_EQ(reading(R"({"n":"Zoë"})", person), "Zoë");
  reading(R"({"n":"éé"})", person);
  EXPECT_EQ(refused(), "n,Nome deve ter pelo menos 3 caracteres");
  reading(R"({"n":"Ana\u0007Maria"})", person);
  EXPECT_EQ(refused(), "n,Contém caracteres inválidos");
}

TEST_F(AssinanteForm, TakesMoneyOfAtMostTwoDecimals) {
  auto money = [](form& f) { return f.money("m").fixed(2); };

  EXPECT_EQ(reading(R"({"m":89.90})", money), "89.90");
  EXPECT_EQ(reading(R"({"m":"9999999999.99"})", money), "9999999999.99");
  for (const auto* wrong : {R"({"m":0.001})", R"({"m":-1})", R"({"m":1e11})", R"({"m":true})"}) {
    reading(wrong, money);
    EXPECT_EQ(refused(), "m,Valor inválido") << wrong;
  }
}

TEST_F(AssinanteForm, TakesABirthdayThatIsOver) {
  auto now = *parse_iso("2026-03-01T12:00:00Z");
  auto born = [&](form& f) { return f.birth_date("b", now); };

  EXPECT_EQ(reading(R"({"b":"1958-05-15"})", born), parse_date("1958-05-15", 1900));
  EXPECT_TRUE(reading(R"({"b":"2026-02-28"})", born));
  for (const auto* wrong :
       {R"({"b":"2026-03-01"})", R"({"b":"1990-02-30"})", R"({"b":"15/05/1990"})"}) {
    EXPECT_FALSE(reading(wrong, born));
    EXPECT_EQ(refused(), "b,Data de nascimento inválida") << wrong;
  }
}

} // namespace
} // namespace binnacle::http
