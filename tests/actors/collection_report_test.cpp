#include "actors/collection_report.hpp"

#include "config/base/json.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace binnacle {
namespace {

namespace bj = boost::json;

const time_point now = *parse_iso("2026-03-10T12:20:30Z");

persistence::hour_row row(const std::string& name, const char* cpu, const char* online) {
  return {.name_space = name,
          .cpu_hours = decimal::parse(cpu),
          .gpu_hours = decimal{},
          .ram_gb_hours = decimal{2},
          .online_gb_hours = decimal::parse(online),
          .offline_gb_hours = {},
          .cpu_efficiency = {},
          .ram_efficiency = {},
          .upstream_cost = {}};
}

void add(collection_report& report, std::size_t cluster, time_point hour,
         std::vector<persistence::hour_row> rows, std::vector<persistence::booked_row> owners) {
  auto window = window_of(hour, now);
  report.add_booking(cluster, {window}, {{.hour = hour, .rows = std::move(rows)}},
                     {.rows = std::move(owners)});
}

bj::object parsed(const collection_report& report) {
  return json::parse(report.finish().report)->as_object();
}

TEST(collection_report_test, HasTheContractsShape) {
  collection_report report{now, false};
  auto one = report.add_cluster({"clu_1"}, "one");
  add(report, one, now - minutes{20} - seconds{30} - hours{1}, {row("a", "0.5", "10")},
      {{.name_space = "a", .owner = {"usr_1"}, .project_name = "Project A"}});

  EXPECT_EQ(report.finish().report,
            R"({"message":"OpenCost collection completed","timestamp":"2026-03-10","hour":12,)"
            R"("clustersProcessed":1,"hours":1,"results":{"successful":1,"failed":0,"errors":[],)"
            R"("namespaces":[{"namespace":"a","projectName":"Project A","userId":"usr_1",)"
            R"("cpuHours":0.5,"gpuHours":0,"ramGBHours":2,"onlineStorageGB":10,)"
            R"("offlineStorageGB":0}],"clusters":[{"clusterId":"clu_1","clusterName":"one",)"
            R"("successful":1,"failed":0,"namespaceCount":1}]}})");
}

TEST(collection_report_test, AddsUpTheHoursAndShowsTheNewestStorage) {
  collection_report report{now, false};
  auto one = report.add_cluster({"clu_1"}, "one");
  auto hour = start_of_hour(now);
  // The present hour, of which 1,230 seconds have passed, comes first: newest first.
  add(report, one, hour, {row("a", "0.1", "4.1")}, {});
  add(report, one, hour - hours{1}, {row("a", "0.5", "10")}, {});

  auto out = parsed(report);
  auto& ns = out.at("results").at("namespaces").at(0).as_object();
  EXPECT_EQ(out.at("hours"), 2);
  EXPECT_DOUBLE_EQ(ns.at("cpuHours").to_number<double>(), 0.6);
  EXPECT_DOUBLE_EQ(ns.at("onlineStorageGB").to_number<double>(), 12.0);
}

TEST(collection_report_test, NamesNamespacesWithoutAnOwner) {
  collection_report report{now, true};
  auto one = report.add_cluster({"clu_1"}, "one");
  add(report, one, start_of_hour(now), {row("a", "1", "0"), row("b", "1", "0")},
      {{.name_space = "a", .owner = {"usr_1"}, .project_name = "A"}, {.name_space = "b"}});

  auto out = report.finish();
  auto doc = parsed(report);
  EXPECT_EQ(out.successful, 1);
  EXPECT_EQ(out.failed, 1);
  EXPECT_EQ(out.unowned, std::vector<std::string>{"one/b"});
  EXPECT_EQ(doc.at("dryRun"), true);
  EXPECT_EQ(doc.at("results").at("errors"), bj::value({"Namespace b: No user mapping found"}));
  EXPECT_TRUE(doc.at("results").at("namespaces").at(1).at("userId").is_null());
  EXPECT_EQ(doc.at("results").at("clusters").at(0).at("failed"), 1);
}

TEST(collection_report_test, ShowsTheFirstReasonOfAClusterThatFailed) {
  collection_report report{now, false};
  auto one = report.add_cluster({"clu_1"}, "one");
  report.add_cluster({"clu_2"}, "two");
  report.add_failure(one, "token rejected");
  report.add_failure(one, "something else");
  report.add_held(3);

  auto out = report.finish();
  auto doc = parsed(report);
  EXPECT_EQ(out.failed, 1);
  EXPECT_EQ(out.held, 3);
  EXPECT_EQ(doc.at("hoursHeld"), 3);
  EXPECT_EQ(doc.at("results").at("clusters").at(0).at("error"), "token rejected");
  EXPECT_EQ(doc.at("results").at("clusters").at(1).as_object().count("error"), 0u);
  EXPECT_EQ(doc.at("results").at("errors"), bj::value({"Cluster one: token rejected"}));
}

TEST(collection_report_test, CutsLongListsOffAndSaysSo) {
  collection_report report{now, false};
  auto one = report.add_cluster({"clu_1"}, "one");
  std::vector<persistence::hour_row> rows;
  for (int i = 0; i < 1'500; ++i) rows.push_back(row("ns" + std::to_string(i), "1", "0"));
  add(report, one, start_of_hour(now), rows, {});

  auto doc = parsed(report);
  auto& results = doc.at("results").as_object();
  EXPECT_EQ(results.at("namespaces").as_array().size(), collection_report::most_namespaces);
  EXPECT_EQ(results.at("namespacesOmitted"), 500);
  EXPECT_EQ(results.at("errors").as_array().size(), collection_report::most_errors);
  EXPECT_EQ(results.at("errorsOmitted"), 1'300);
  EXPECT_EQ(results.at("failed"), 1'500);
}

} // namespace
} // namespace binnacle
