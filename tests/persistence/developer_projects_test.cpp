#include "persistence/developer_projects.hpp"

#include "persistence/project_users.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <algorithm>
#include <future>

namespace binnacle::persistence {
namespace {

const auto now = *parse_iso("2026-03-01T12:00:00Z");

class DeveloperProjects : public testing::Test {
protected:
  void SetUp() override {
    for (const auto& who : {ann, bob})
      must(writing(
          db, [&](transaction& tx) { return insert_user(tx, {.id = who, .created_at = now}); }));
  }
  developer_project_id make(const user_id& owner, const std::string& title = "Shop",
                            time_point at = now) {
    developer_project p{.id = make_id<developer_project_id>("", at),
                        .name = title,
                        .description = "sells",
                        .allowed_origins = {"https://a.example", "*.b.example"},
                        .allowed_providers = {"email", "google"},
                        .created_at = at};
    must(writing(db, [&](transaction& tx) { return insert_developer_project(tx, owner, p); }));
    return p.id;
  }
  result<developer_project> find(const user_id& owner, const developer_project_id& id) {
    return reading(db, [&](transaction& tx) { return find_developer_project(tx, owner, id); });
  }
  project_user_id add(const developer_project_id& to, const std::string& email) {
    project_user u{.id = make_id<project_user_id>("", now), .email = email, .created_at = now};
    must(writing(db, [&](transaction& tx) { return insert_project_user(tx, to, u); }));
    return u.id;
  }
  result<project_user> block(const developer_project_id& in, const project_user_id& who, bool how,
                             time_point at = now) {
    return writing(db, [&](transaction& tx) { return block_project_user(tx, in, who, how, at); });
  }
  result<done> log_in(const developer_project_id& to, const user_id& who, const std::string& email,
                      const std::string& provider = "email", time_point at = now) {
    return writing(db, [&](transaction& tx) {
      return record_project_login(tx, to, {who, email, provider}, at);
    });
  }
  std::vector<project_user> all(const developer_project_id& of) {
    std::vector<project_user> out;
    must(reading(db, [&](transaction& tx) {
      return read_project_users(tx, of, [&](project_user&& u) { out.push_back(std::move(u)); });
    }));
    return out;
  }
  std::vector<std::string> emails(const developer_project_id& of) {
    std::vector<std::string> out;
    for (const auto& u : all(of)) out.push_back(u.email);
    return out;
  }
  std::uint64_t moment(const developer_project_id& of) {
    return must(reading(
        db, [&](transaction& tx) { return read_project_users(tx, of, [](project_user&&) {}); }));
  }
  project_user_changes since(const developer_project_id& of, std::uint64_t moment,
                             std::int64_t most = 1'000) {
    return must(run_in(db, access::read, [&](transaction& tx) {
      return project_users_changed(tx, of, moment, most);
    }));
  }

  const user_id ann{"ann"}, bob{"bob"};
  test_database where{};
  database db = where.connect();
};

TEST_F(DeveloperProjects, AreReadAsTheyWereWrittenTheNewestFirst) {
  auto first = make(ann), second = make(ann, "Blog", now + seconds{1});
  make(bob);

  auto found = must(reading(db, [&](transaction& tx) { return developer_projects_of(tx, ann); }));

  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].id, second);
  EXPECT_EQ(found[1].id, first);
  EXPECT_EQ(found[1].description, "sells");
  EXPECT_EQ(found[1].allowed_origins,
            (std::vector<std::string>{"https://a.example", "*.b.example"}));
  EXPECT_EQ(found[1].allowed_providers, (std::vector<std::string>{"email", "google"}));
}

TEST_F(DeveloperProjects, AreForTheirOwnerOnly) {
  auto theirs = make(bob);

  EXPECT_EQ(find(ann, theirs).error().code, errc::forbidden);
  EXPECT_EQ(find(ann, make_id<developer_project_id>("", now)).error().code, errc::not_found);
  EXPECT_EQ(find(ann, {"no ULID"}).error().code, errc::not_found);
}

TEST_F(DeveloperProjects, ChangeOnlyInWhatIsGiven) {
  auto id = make(ann);

  must(writing(db, [&](transaction& tx) {
    developer_project_change only_this{.description = "", .allowed_origins = {{}}};
    return update_developer_project(tx, id, only_this, now + hours{1});
  }));

  auto p = must(find(ann, id));
  EXPECT_EQ(p.name, "Shop");
  EXPECT_EQ(p.description, "");
  EXPECT_TRUE(p.allowed_origins.empty());
  EXPECT_EQ(p.allowed_providers.size(), 2U);
  EXPECT_EQ(p.updated_at, now + hours{1});
}

TEST_F(DeveloperProjects, AreGoneAtOnceWhenDeletedAndTheirRowsAfterwards) {
  auto id = make(ann);
  for (auto email : {"a@x.org", "b@x.org", "c@x.org"}) add(id, email);

  must(writing(db, [&](transaction& tx) { return delete_developer_project(tx, id, now); }));

  EXPECT_EQ(find(ann, id).error().code, errc::not_found);
  EXPECT_EQ(where.query("SELECT count(*) FROM project_users"), "3");
  auto clear = [&] {
    return must(writing(db, [&](transaction& tx) { return clear_deleted_projects(tx, 2); }));
  };
  EXPECT_EQ(clear(), 2);
  EXPECT_EQ(clear(), 2); // the last user, and the project
  EXPECT_EQ(where.query("SELECT count(*) FROM developer_projects"), "0");
  EXPECT_EQ(where.query("SELECT count(*) FROM project_users_removed"), "0");
}

TEST_F(DeveloperProjects, CountTheirUsers) {
  auto id = make(ann);
  auto first = add(id, "a@x.org");
  add(id, "b@x.org");
  must(block(id, first, true));
  EXPECT_EQ(must(find(ann, id)).user_count, 2);

  must(writing(db, [&](transaction& tx) { return delete_project_user(tx, id, first); }));
  EXPECT_EQ(must(find(ann, id)).user_count, 1);

  where.query("INSERT INTO project_users (id, project_id, email, created_at) "
              "SELECT lpad(n::text, 26, '0'), '" +
              id.value + "', n || '@y.org', now() FROM generate_series(1, 100) n");
  EXPECT_EQ(must(find(ann, id)).user_count, 101);
}

TEST_F(DeveloperProjects, CountUsersThatAreAddedAtTheSameTime) {
  auto id = make(ann);
  std::vector<std::future<void>> adding;
  for (int worker = 0; worker < 4; ++worker)
    adding.push_back(std::async(std::launch::async, [&, worker] {
      auto mine = where.connect();
      for (int i = 0; i < 25; ++i) {
        project_user u{.id = make_id<project_user_id>("", now),
                       .email = std::to_string(worker * 100 + i) + "@x.org",
                       .created_at = now};
        must(writing(mine, [&](transaction& tx) { return insert_project_user(tx, id, u); }));
      }
    }));
  for (auto& each : adding) each.get();

  EXPECT_EQ(must(find(ann, id)).user_count, 100);
}

// -- their users ---------------------------------------------------------------------------------

TEST_F(DeveloperProjects, HaveOneUserOfAnAddress) {
  auto id = make(ann), other = make(ann);
  add(id, "a@x.org");
  add(other, "a@x.org");

  auto again = writing(db, [&](transaction& tx) {
    return insert_project_user(
        tx, id, {.id = make_id<project_user_id>("", now), .email = "a@x.org", .created_at = now});
  });

  EXPECT_EQ(again.error().code, errc::conflict);
  EXPECT_EQ(again.error().field, "email");
}

TEST_F(DeveloperProjects, ListWhoLoggedInLastFirstAndNotWhoIsBlocked) {
  auto id = make(ann);
  auto never = add(id, "never@x.org"), blocked = add(id, "blocked@x.org");
  add(id, "early@x.org");
  add(id, "ann@x.org");
  must(block(id, blocked, true));
  must(log_in(id, bob, "early@x.org", "email", now));
  must(log_in(id, ann, "ann@x.org", "google", now + seconds{1}));

  EXPECT_EQ(emails(id), (std::vector<std::string>{"ann@x.org", "early@x.org", "never@x.org"}));
  auto seen = all(id);
  EXPECT_EQ(seen[0].last_auth_provider, "google");
  EXPECT_EQ(seen[0].login_count, 1);
  EXPECT_EQ(seen[0].last_login_at, now + seconds{1});
  EXPECT_FALSE(seen[2].last_login_at);
  EXPECT_EQ(seen[2].id, never);
}

TEST_F(DeveloperProjects, BlockSinceTheFirstTime) {
  auto id = make(ann);
  auto who = add(id, "a@x.org");

  EXPECT_EQ(must(block(id, who, true)).blocked_at, now);
  EXPECT_EQ(must(block(id, who, true, now + hours{1})).blocked_at, now);
  EXPECT_FALSE(must(block(id, who, false)).blocked_at);
  EXPECT_EQ(block(make(ann), who, true).error().code, errc::not_found);
}

TEST_F(DeveloperProjects, ListWhoIsBlockedApartWhoWasLastFirst) {
  auto id = make(ann);
  for (int i = 0; i < 5; ++i) {
    auto who = add(id, "u" + std::to_string(i) + (i % 2 ? "_odd@x.org" : "%even@x.org"));
    if (i > 0) must(block(id, who, true, now + hours{i}));
  }
  auto blocked = [&](const std::string& contains, std::int64_t skip) {
    return must(reading(
        db, [&](transaction& tx) { return blocked_project_users(tx, id, contains, skip, 2); }));
  };

  auto first = blocked("", 0), second = blocked("", 2), odd = blocked("_odd", 0);
  EXPECT_EQ(first.total, 4);
  EXPECT_EQ(first.users.at(0).email, "u4%even@x.org");
  EXPECT_EQ(second.users.at(1).email, "u1_odd@x.org");
  EXPECT_EQ(blocked("", 9).total, 4); // of a page beyond the end
  EXPECT_EQ(odd.total, 2);
  EXPECT_EQ(blocked("_even", 0).total, 0);
}

TEST_F(DeveloperProjects, LetInTheirUsersOnly) {
  auto id = make(ann);
  auto who = add(id, "bob@x.org");
  EXPECT_EQ(log_in(id, bob, "").error().code, errc::forbidden);
  EXPECT_EQ(log_in(id, bob, "bob@x.org", "github").error().code, errc::forbidden);
  must(log_in(id, bob, "bob@x.org"));
  must(log_in(id, bob, "new-address@x.org"));
  EXPECT_EQ(log_in(id, ann, "bob@x.org").error().code, errc::forbidden);

  must(block(id, who, true));

  EXPECT_EQ(log_in(id, bob, "bob@x.org").error().code, errc::forbidden);
  EXPECT_EQ(log_in({"none"}, bob, "bob@x.org").error().code, errc::not_found);
}

// -- what changed ---------------------------------------------------------------------------------

TEST_F(DeveloperProjects, TellWhatBecameOfTheirUsersSinceAMoment) {
  auto id = make(ann);
  auto first = add(id, "a@x.org"), second = add(id, "b@x.org");
  add(make(bob), "elsewhere@x.org");
  auto then = moment(id);
  EXPECT_TRUE(since(id, then).changed.empty());

  must(block(id, first, true));
  must(writing(db, [&](transaction& tx) { return delete_project_user(tx, id, second); }));
  add(id, "c@x.org");

  auto told = since(id, then);
  std::vector<std::string> changed;
  for (const auto& u : told.changed) changed.push_back(u.email);
  std::ranges::sort(changed);
  EXPECT_EQ(changed, (std::vector<std::string>{"a@x.org", "c@x.org"}));
  EXPECT_EQ(told.removed, std::vector{second});
  auto nothing = since(id, told.as_of);
  EXPECT_TRUE(nothing.changed.empty() && nothing.removed.empty());
  EXPECT_TRUE(since(id, then, 2).too_many);
}

TEST_F(DeveloperProjects, TellOfAChangeThatWasUnderWayAtTheMoment) {
  auto id = make(ann);
  auto who = add(id, "slow@x.org");
  auto slow = where.connect();
  std::uint64_t then = 0;

  must(writing(slow, [&](transaction& tx) -> result<done> {
    must(block_project_user(tx, id, who, true, now));
    add(id, "quick@x.org"); // begins later, and is committed before
    then = moment(id);
    return done{};
  }));

  auto told = since(id, then);
  EXPECT_TRUE(std::ranges::any_of(told.changed, [](auto& u) { return u.email == "slow@x.org"; }));
}

} // namespace
} // namespace binnacle::persistence
