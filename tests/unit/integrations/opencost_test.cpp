#include "config/base/json.hpp"
#include "integrations/opencost.hpp"
#include "support.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace binnacle::integrations {
namespace {

using namespace testing;
using namespace std::chrono_literals;

decimal d(std::string_view text) { return *decimal::parse(text); }

http_answer ok(const std::string& data) {
  return {200, {}, R"({"code":200,"status":"success","data":)" + data + "}"};
}
std::string row(const std::string& fields) { return R"({"team-a":{)" + fields + "}}"; }

/// The fault's two texts; a test failure when there is none.
fault refusal(const http_answer& answer) {
  auto r = read_allocations(answer);
  if (r) {
    ADD_FAILURE() << "accepted " << answer.body;
    return {};
  }
  EXPECT_EQ(r.error().code, errc::upstream_failed);
  return r.error();
}

TEST(OpencostCall, AsksForExactHoursOfAllNamespaces) {
  kube_access cluster;
  cluster.server = "https://k8s.example.com:6443/x";
  cluster.token = secret{"t"};
  cluster.tls.ca_pem = "ca";
  auto from = *parse_iso("2025-02-07T03:00:00Z");

  auto call = allocation_call(cluster, from, from + 1h, 30s);

  EXPECT_EQ(call.method, "GET");
  EXPECT_EQ(call.url, "https://k8s.example.com:6443/x/api/v1/namespaces/opencost/services/"
                      "opencost:9003/proxy/allocation/compute?window=2025-02-07T03:00:00Z,"
                      "2025-02-07T04:00:00Z&aggregate=namespace&accumulate=false");
  EXPECT_EQ(call.bearer.reveal(), "t");
  EXPECT_EQ(call.tls.ca_pem, "ca");
  EXPECT_EQ(call.deadline, 30s);
}

TEST(Opencost, ReadsTheFieldsOfANamespaceExactly) {
  auto r = read_allocations(ok("[" + row(R"("name":"team-a","properties":{"cluster":"c"},
    "window":{"start":"2025-02-07T03:00:00Z","end":"2025-02-07T04:00:00Z"},"minutes":60,
    "cpuCores":0.5,"cpuCoreHours":0.47618,"gpuHours":2,"ramByteHours":1.073741824e+09,
    "pvByteHours":10737418240.12345,"cpuEfficiency":3e-05,"ramEfficiency":1.25,
    "totalCost":0.01427,"pvs":null,"lbAllocations":{"a":{"cost":1}})") +
                               "]"));

  ASSERT_TRUE(r) << to_string(r.error());
  ASSERT_TRUE(r->known);
  ASSERT_EQ(r->rows.size(), 1u);
  const auto& a = r->rows[0];
  EXPECT_EQ(a.name_space, "team-a");
  EXPECT_EQ(a.cpu_core_hours, d("0.47618"));
  EXPECT_EQ(a.gpu_hours, d("2"));
  EXPECT_EQ(a.ram_byte_hours, d("1073741824"));
  EXPECT_EQ(a.pv_byte_hours, d("10737418240.12345"));
  EXPECT_EQ(a.cpu_efficiency, d("0.00003"));
  EXPECT_EQ(a.ram_efficiency, d("1.25"));
  EXPECT_EQ(a.total_cost, d("0.01427"));
}

TEST(Opencost, TakesNullAndAbsentNumbersForUnknownNotZero) {
  auto r = read_allocations(ok("[" + row(R"("cpuCoreHours":null,"gpuHours":0)") + "]"));
  ASSERT_TRUE(r) << to_string(r.error());
  const auto& a = r->rows.at(0);
  EXPECT_FALSE(a.cpu_core_hours.has_value());
  EXPECT_FALSE(a.ram_byte_hours.has_value());
  EXPECT_FALSE(a.total_cost.has_value());
  EXPECT_EQ(a.gpu_hours, decimal{});
}

TEST(Opencost, TakesImpossibleNumbersForUnknown) {
  auto r = read_allocations(
      ok("[" + row(R"("cpuCoreHours":-0.5,"ramByteHours":1e300,"totalCost":-0.25)") + "]"));
  ASSERT_TRUE(r) << to_string(r.error());
  EXPECT_FALSE(r->rows.at(0).cpu_core_hours.has_value());
  EXPECT_FALSE(r->rows.at(0).ram_byte_hours.has_value());
  EXPECT_EQ(r->rows.at(0).total_cost, d("-0.25")) << "credits are negative";
}

TEST(Opencost, TellsAWindowWithoutDataFromOneWithoutUsage) {
  for (auto data : {"null", "[null]", "[]", R"([{"a":{"cpuCoreHours":1}},null])"}) {
    auto r = read_allocations(ok(data));
    ASSERT_TRUE(r) << data;
    EXPECT_FALSE(r->known) << data;
    EXPECT_TRUE(r->rows.empty()) << data;
  }
  auto empty = read_allocations(ok("[{}]"));
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->known);
  EXPECT_TRUE(empty->rows.empty());
}

TEST(Opencost, LeavesOutSyntheticRowsAndSystemNamespaces) {
  auto r = read_allocations(ok(
      R"([{"__idle__":{"cpuCoreHours":1},"__unallocated__":{},"__unmounted__":{},"kube-system":{},
              "kube-public":{},"kube-node-lease":{},"opencost":{},"hopsworks":{},
              "ingress-nginx":{},"kube-systems":{},"hopsworks-a":{}}])"));
  ASSERT_TRUE(r) << to_string(r.error());
  ASSERT_EQ(r->rows.size(), 2u);
  EXPECT_EQ(r->rows[0].name_space, "hopsworks-a");
  EXPECT_EQ(r->rows[1].name_space, "kube-systems");
  EXPECT_TRUE(is_system_namespace("__new_synthetic_row"));
  EXPECT_FALSE(is_system_namespace("team__a"));
}

TEST(Opencost, AddsUpSeveralSetsAndKeepsTheUnknownUnknown) {
  auto r = read_allocations(ok(
      R"([{"a":{"cpuCoreHours":1,"gpuHours":null,"cpuEfficiency":0.5,"totalCost":0.1}},
          {"a":{"cpuCoreHours":3,"gpuHours":1,"cpuEfficiency":0.1,"totalCost":0.2},"b":{"gpuHours":4}},
          {}])"));
  ASSERT_TRUE(r) << to_string(r.error());
  ASSERT_EQ(r->rows.size(), 2u);
  EXPECT_EQ(r->rows[0].cpu_core_hours, d("4"));
  EXPECT_EQ(r->rows[0].total_cost, d("0.3"));
  EXPECT_FALSE(r->rows[0].gpu_hours.has_value());
  EXPECT_EQ(r->rows[0].cpu_efficiency, d("0.2")) << "weighted by core hours";
  EXPECT_EQ(r->rows[1].gpu_hours, d("4")) << "a namespace may live in one of the sets only";
}

RC_GTEST_PROP(Opencost, GivesTheSameSumsHoweverAWindowIsSplit, ()) {
  auto parts = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 1'000'000));
  RC_PRE(!parts.empty());
  std::string sets;
  std::int64_t whole = 0;
  for (auto micros : parts) {
    whole += micros;
    auto text = d("0.00001") * decimal{micros};
    sets += (sets.empty() ? "" : ",") + row("\"cpuCoreHours\":" + text.str());
  }
  auto r = read_allocations(ok("[" + sets + "]"));
  RC_ASSERT(r.has_value());
  RC_ASSERT(*r->rows.at(0).cpu_core_hours == d("0.00001") * decimal{whole});
}

RC_GTEST_PROP(Opencost, SurvivesAnyText, (const std::string& text)) {
  RC_ASSERT(!read_allocations({200, {}, text}).has_value());
  read_allocations(ok(text));
}

TEST(Opencost, RefusesEveryOtherShape) {
  for (auto body :
       {"", "null", "[]", "{}", "<html>oops</html>", R"({"code":200})", R"({"data":[]})",
        R"({"code":"200","data":[]})", R"({"code":200,"data":{}})", R"({"code":200,"data":[[]]})",
        R"({"code":200,"data":[{"a":null}]})", R"({"code":200,"data":[{"a":7}]})",
        R"({"code":200,"data":[{"a":{"cpuCoreHours":"1"}}]})",
        R"({"code":200,"data":[{"a":{"cpuCoreHours":true}}]})",
        R"({"code":200,"data":[{"a":{},"a":{}}]})", R"({"code":200,"data":[{)"})
    EXPECT_EQ(refusal({200, {}, body}).text, "OpenCost answered in an unknown form") << body;
}

TEST(Opencost, PassesOnItsOwnMessage) {
  auto inside = refusal({200, {}, R"({"code":500,"status":"error","message":"prometheus down"})"});
  EXPECT_EQ(inside.text, "OpenCost failed (500)");
  EXPECT_EQ(inside.detail, "prometheus down");

  auto plain = refusal({400, {}, "Invalid 'window' parameter: x"});
  EXPECT_EQ(plain.detail, "Invalid 'window' parameter: x");
  EXPECT_EQ(refusal({500, {}, std::string(5000, 'x')}).detail.size(), 500u);
}

TEST(Opencost, TellsAnAdminWhatToDo) {
  auto text = [](int status, const std::string& body = "") {
    return refusal({status, {}, body}).text;
  };
  auto not_found =
      R"({"kind":"Status","status":"Failure","message":"services \"opencost\" not found","code":404})";
  EXPECT_NE(text(401).find("rejected the token"), std::string::npos);
  EXPECT_NE(text(403).find("services/proxy"), std::string::npos);
  EXPECT_NE(text(404, not_found).find("install OpenCost"), std::string::npos);
  EXPECT_EQ(refusal({404, {}, not_found}).detail, "services \"opencost\" not found");
  EXPECT_NE(text(404, "404 page not found").find("update OpenCost"), std::string::npos);
  EXPECT_NE(text(503).find("pods"), std::string::npos);
  EXPECT_NE(text(301).find("redirect"), std::string::npos);
  EXPECT_NE(text(418).find("418"), std::string::npos);
  EXPECT_NE(text(502).find("502"), std::string::npos);
}

TEST(Opencost, ReadsARecordedAnswer) {
  auto r = read_allocations({200, {}, read_file(FIXTURES "/allocation.json")});
  ASSERT_TRUE(r) << to_string(r.error());
  EXPECT_TRUE(r->known);
  EXPECT_FALSE(r->rows.empty());
  for (const auto& a : r->rows) EXPECT_FALSE(is_system_namespace(a.name_space)) << a.name_space;
}

} // namespace
} // namespace binnacle::integrations
