#include "integrations/invoice_pdf.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

namespace binnacle::integrations {
namespace {

decimal money(const char* text) { return *decimal::parse(text); }

invoice_document october() {
  return {.seller = "SV Lentes",
          .number = "NF-2025-10-001",
          .customer = "João Conceição d’Ávila",
          .address = {"Rua das Flores, 123 – Apto 4", "Centro", "São João del-Rei – MG, 36300-000"},
          .description = "Assinatura Mensal - Outubro 2025",
          .amount = money("1234.56"),
          .payment_method = "Cartão de crédito",
          .issued_at = *parse_iso("2025-09-25T08:30:05Z"),
          .due = *parse_date("2025-10-01"),
          .paid_at = parse_iso("2025-10-01T10:15:00Z")};
}

/// What a reader makes of it: poppler's pdftotext, with its layout.
std::string read_with_poppler(const std::string& pdf) {
  std::string file = "/tmp/binnacle-invoice-XXXXXX";
  auto descriptor = mkstemp(file.data());
  EXPECT_GE(descriptor, 0);
  close(descriptor);
  std::ofstream{file, std::ios::binary} << pdf;
  std::string text;
  auto command = "pdftotext -layout -enc UTF-8 " + file + " - 2>&1";
  auto* pipe = popen(command.c_str(), "r");
  std::array<char, 4'096> part{};
  while (auto n = std::fread(part.data(), 1, part.size(), pipe)) text.append(part.data(), n);
  EXPECT_EQ(pclose(pipe), 0) << text;
  std::remove(file.c_str());
  return text;
}

std::string text_of(const invoice_document& what) {
  auto pdf = draw_invoice(what);
  return pdf ? read_with_poppler(*pdf) : to_string(pdf.error());
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TEST(InvoicePdf, SaysAllThatIsInTheInvoiceWithItsAccents) {
  auto text = text_of(october());

  for (const char* expected :
       {"SV Lentes", "Fatura NF-2025-10-001", "João Conceição d’Ávila",
        "Rua das Flores, 123 – Apto 4", "São João del-Rei – MG, 36300-000", "Endereço",
        "Assinatura Mensal - Outubro 2025", "R$ 1.234,56", "Cartão de crédito", "25/09/2025",
        "01/10/2025", "01/10/2025 às 10:15 (UTC)", "Vencimento", "Descrição", "Emissão"})
    EXPECT_NE(text.find(expected), text.npos) << expected << " is not in:\n" << text;
  EXPECT_EQ(count(text, "Endereço"), 1U);
}

TEST(InvoicePdf, IsTheSameBytesForTheSameInvoiceAndOthersForAnother) {
  auto other = october();
  other.amount += money("0.01");

  EXPECT_EQ(*draw_invoice(october()), *draw_invoice(october()));
  EXPECT_NE(*draw_invoice(october()), *draw_invoice(other));
  EXPECT_TRUE(draw_invoice(october())->starts_with("%PDF-1."));
}

TEST(InvoicePdf, ShowsNoPaymentWhereThereWasNone) {
  auto open = october();
  open.paid_at.reset();
  open.payment_method.clear();

  auto text = text_of(open);

  EXPECT_EQ(text.find("Pagamento"), text.npos);
  EXPECT_EQ(text.find("Forma"), text.npos);
}

TEST(InvoicePdf, WrapsLongTextsAndGoesOnOnAFurtherPage) {
  auto longer = october();
  longer.description.clear();
  for (int i = 0; i < 2'000; ++i) longer.description += "lente" + std::to_string(i) + " ";
  longer.description += "fim";
  longer.customer = std::string(300, 'W'); // no blank to break at

  auto text = text_of(longer);

  EXPECT_EQ(count(text, "lente"), 2'000U);
  EXPECT_NE(text.find("fim"), text.npos);
  EXPECT_EQ(count(text, "W"), 300U);
  EXPECT_GE(count(text, "\f"), 2U) << "pages";
  std::size_t longest = 0, begin = 0;
  for (auto end = text.find('\n'); end != text.npos; begin = end + 1, end = text.find('\n', begin))
    longest = std::max(longest, end - begin);
  EXPECT_LT(longest, 140U);
}

TEST(InvoicePdf, ShowsWhatItsFontsHaveNotAsQuestionMarks) {
  auto abroad = october();
  abroad.customer = "Łukasz Ōno € \t\n日本";

  auto text = text_of(abroad);

  EXPECT_NE(text.find("?ukasz ?no €"), text.npos) << text;
  EXPECT_NE(text.find("??"), text.npos) << text;
}

TEST(InvoicePdf, WritesMoneyAsInBrazil) {
  EXPECT_EQ(format_brl(money("1234.56")), "R$ 1.234,56");
  EXPECT_EQ(format_brl(money("0")), "R$ 0,00");
  EXPECT_EQ(format_brl(money("89.9")), "R$ 89,90");
  EXPECT_EQ(format_brl(money("999")), "R$ 999,00");
  EXPECT_EQ(format_brl(money("1000")), "R$ 1.000,00");
  EXPECT_EQ(format_brl(money("99999999.99")), "R$ 99.999.999,99");
  EXPECT_EQ(format_brl(money("-1234.5")), "-R$ 1.234,50");
}

} // namespace
} // namespace binnacle::integrations
