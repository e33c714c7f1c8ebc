#include "http/routes/csv.hpp"

#include "http/routes/platform/handlers.hpp"

#include <gtest/gtest.h>

namespace binnacle::http {
namespace {

TEST(Csv, QuotesWhatNeedsIt) {
  csv_table table{{"plain", "with,comma", "with \"quotes\"", "two\nlines", ""}};

  EXPECT_EQ(table.text(), "plain,\"with,comma\",\"with \"\"quotes\"\"\",\"two\nlines\",\r\n");
}

TEST(Csv, DefusesFormulas) {
  csv_table table{{"=1+1", "+1", "-1", "@x", "\tx", "a=b"}};

  EXPECT_EQ(table.text(), "'=1+1,'+1,'-1,'@x,'\tx,a=b\r\n");
}

TEST(Csv, DefusesAndQuotesAtOnce) {
  csv_table table{{"=HYPERLINK(\"http://x\",1)"}};

  EXPECT_EQ(table.text(), "\"'=HYPERLINK(\"\"http://x\"\",1)\"\r\n");
}

TEST(Csv, WritesNumbersPlainlyAndUnknownOnesAsNothing) {
  csv_table table{{*decimal::parse("-0.000001"), decimal{42}, std::optional<decimal>{}}};

  EXPECT_EQ(table.text(), "-0.000001,42,\r\n");
}

TEST(Csv, IsADownload) {
  csv_table table{{"a"}};

  auto out = table.to_response("usage-2025-02.csv", caching::no_store);

  EXPECT_EQ(out.content_type, "text/csv; charset=utf-8");
  ASSERT_EQ(out.headers.size(), 1U);
  EXPECT_EQ(out.headers[0].second, "attachment; filename=\"usage-2025-02.csv\"");
}

TEST(Csv, IsOneOfTwoFormats) {
  request req;
  EXPECT_FALSE(*wants_csv(req));
  req.query = "format=json";
  EXPECT_FALSE(*wants_csv(req));
  req.query = "month=2025-02&format=csv";
  EXPECT_TRUE(*wants_csv(req));
  req.query = "format=xml";
  EXPECT_EQ(wants_csv(req).error().field, "format");
}

TEST(StorageText, IsInMegabytesBelowATenthOfAGigabyte) {
  EXPECT_EQ(storage_text(decimal{}), "0MB");
  EXPECT_EQ(storage_text(*decimal::parse("0.002")), "2MB");
  EXPECT_EQ(storage_text(*decimal::parse("0.0999")), "102MB");
  EXPECT_EQ(storage_text(*decimal::parse("0.1")), "0.10GB");
  EXPECT_EQ(storage_text(*decimal::parse("50.25")), "50.25GB");
}

TEST(Rates, AreThoseOfTheContract) {
  EXPECT_EQ(json::to_text(rates_of(default_price_list())),
            R"({"cpu_hour":0.175,"gpu_hour":3.5,"ram_gb_hour":0.0175,"storage_online_gb":0.5,)"
            R"("storage_offline_gb":0.03,"network_egress_gb":0.14})");
}

} // namespace
} // namespace binnacle::http
