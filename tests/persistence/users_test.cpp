#include "persistence/users.hpp"

#include "tests/persistence/postgres_fixture.hpp"

#include <atomic>
#include <thread>

namespace binnacle::persistence {
namespace {

const auto now = *parse_iso("2025-03-01T12:00:00.123456Z");

class Users : public testing::Test {
protected:
  test_database where{};
  database db = where.connect();

  result<done> insert(const user& u) {
    return writing(db, [&](transaction& tx) { return insert_user(tx, u); });
  }
  std::optional<user> find(const std::string& id) {
    return must(run_in(db, access::read, [&](transaction& tx) { return find_user(tx, {id}); }));
  }
  result<user_id> resolve(const external_identity& who, const std::string& fresh) {
    return writing(db, [&](transaction& tx) { return resolve_identity(tx, who, {fresh}, now); });
  }
};

TEST_F(Users, AreReadAsTheyWereWritten) {
  must(insert({.id = {"owner"}, .created_at = now}));
  user u{.id = {"usr_1"},
         .username = "Ada",
         .email = "ada@example.org",
         .name = "Ada \"L\" Ünal \\ {x}",
         .password_hash = "$argon2id$…",
         .session_version = 3,
         .is_admin = true,
         .status = "suspended",
         .account_owner = {"owner"},
         .billing_mode = "prepaid",
         .prepaid_enabled = true,
         .created_at = now};

  must(insert(u));

  for (const auto& found :
       {find("usr_1"),
        must(reading(db, [](transaction& tx) { return find_user_by_username(tx, "Ada"); })),
        must(reading(db,
                     [](transaction& tx) { return find_user_by_email(tx, "ADA@Example.org"); }))}) {
    ASSERT_TRUE(found);
    EXPECT_EQ(found->id, u.id);
    EXPECT_EQ(found->username, u.username);
    EXPECT_EQ(found->email, u.email);
    EXPECT_EQ(found->name, u.name);
    EXPECT_EQ(found->password_hash, u.password_hash);
    EXPECT_EQ(found->session_version, 3);
    EXPECT_TRUE(found->is_admin);
    EXPECT_EQ(found->status, "suspended");
    EXPECT_EQ(found->account_owner, u.account_owner);
    EXPECT_EQ(found->billing_mode, "prepaid");
    EXPECT_TRUE(found->prepaid_enabled);
    EXPECT_EQ(found->created_at, now);
  }
}

TEST_F(Users, MayHaveNoNameAddressOrPassword) {
  must(insert({.id = {"a"}, .created_at = now}));
  must(insert({.id = {"b"}, .created_at = now}));

  EXPECT_EQ(find("a")->username, "");
  EXPECT_EQ(find("a")->account_owner, user_id{});
  EXPECT_FALSE(find("c"));
}

TEST_F(Users, AreRefusedWhenTheNameOrAddressIsTaken) {
  must(insert({.id = {"a"}, .username = "ada", .email = "ada@example.org", .created_at = now}));

  auto same_name = insert({.id = {"b"}, .username = "ada", .created_at = now});
  auto same_address = insert({.id = {"b"}, .email = "Ada@example.org", .created_at = now});

  EXPECT_EQ(same_name.error().code, errc::conflict);
  EXPECT_EQ(same_name.error().field, "username");
  EXPECT_EQ(same_address.error().code, errc::conflict);
  EXPECT_EQ(same_address.error().field, "email");
}

TEST_F(Users, HaveExactlyOneFirstAdmin) {
  EXPECT_FALSE(must(reading(db, any_user)));
  std::atomic<int> winners{0}, losers{0};

  std::vector<std::thread> racers;
  for (int i = 0; i < 8; ++i)
    racers.emplace_back([&, i] {
      auto own = where.connect();
      auto won = writing(own, [&](transaction& tx) {
        auto id = "usr_" + std::to_string(i);
        return insert_first_admin(tx, {.id = {id}, .username = id, .created_at = now});
      });
      if (won)
        ++winners;
      else if (won.error().code == errc::conflict)
        ++losers;
    });
  for (auto& r : racers) r.join();

  EXPECT_EQ(winners, 1);
  EXPECT_EQ(losers, 7);
  EXPECT_EQ(where.query("SELECT count(*) FROM users WHERE is_admin"), "1");
  EXPECT_TRUE(must(reading(db, any_user)));
}

TEST_F(Users, LoseTheirSessionsWhenThePasswordChanges) {
  must(insert({.id = {"a"}, .password_hash = "old", .created_at = now}));
  must(writing(db, [](transaction& tx) {
    return insert_login_session(tx, {std::string(32, 'x'), {"a"}, "gateway", 0, now + hours{1}},
                                now);
  }));

  must(writing(db, [](transaction& tx) { return change_password(tx, {"a"}, "new", now); }));

  EXPECT_EQ(find("a")->password_hash, "new");
  EXPECT_EQ(find("a")->session_version, 1);
  EXPECT_EQ(where.query("SELECT count(*) FROM sessions"), "0");
  auto unknown = writing(db, [](transaction& tx) { return change_password(tx, {"b"}, "x", now); });
  EXPECT_EQ(unknown.error().code, errc::not_found);
}

TEST_F(Users, HaveTheirHashUpgradedOnlyWhileItIsTheOldOne) {
  must(insert({.id = {"a"}, .password_hash = "bcrypt", .created_at = now}));
  auto upgrade = [&](const std::string& from, const std::string& to) {
    must(writing(db, [&](transaction& tx) { return upgrade_password_hash(tx, {"a"}, from, to); }));
  };

  upgrade("bcrypt", "argon2id");
  upgrade("bcrypt", "late");

  EXPECT_EQ(find("a")->password_hash, "argon2id");
  EXPECT_EQ(find("a")->session_version, 0);
}

TEST_F(Users, AreCountedWhenTheyLogIn) {
  must(insert({.id = {"a"}, .created_at = now}));

  must(writing(db, [](transaction& tx) { return record_login(tx, {"a"}, now); }));

  EXPECT_EQ(
      where.query("SELECT login_count || ' ' || (last_login_at = '2025-03-01T12:00:00.123456Z') "
                  "FROM users"),
      "1 true");
}

TEST_F(Users, AreFoundAgainByTheirIdentity) {
  external_identity who{"https://issuer", "sub|1", "ada@example.org", true, "Ada"};

  auto first = must(resolve(who, "usr_1"));
  auto again = must(resolve(who, "usr_2"));

  EXPECT_EQ(first, user_id{"usr_1"});
  EXPECT_EQ(again, first);
  EXPECT_EQ(find("usr_1")->email, "ada@example.org");
  EXPECT_EQ(find("usr_1")->name, "Ada");
  EXPECT_FALSE(find("usr_2"));
}

TEST_F(Users, AreLinkedByAVerifiedAddress) {
  must(insert({.id = {"a"}, .email = "ada@example.org", .created_at = now}));

  EXPECT_EQ(must(resolve({"https://one", "1", "ada@example.org", true, {}}, "usr_1")),
            user_id{"a"});
  EXPECT_EQ(must(resolve({"https://two", "1", "ada@example.org", true, {}}, "usr_2")),
            user_id{"a"});
}

TEST_F(Users, AreNeitherLinkedNorNamedByAnUnverifiedAddress) {
  must(insert({.id = {"a"}, .email = "ada@example.org", .created_at = now}));

  auto stranger = must(resolve({"https://one", "1", "ada@example.org", false, {}}, "usr_1"));
  auto squatter = must(resolve({"https://one", "2", "bob@example.org", false, {}}, "usr_2"));
  auto bob = must(resolve({"https://one", "3", "bob@example.org", true, {}}, "usr_3"));

  EXPECT_EQ(stranger, user_id{"usr_1"});
  EXPECT_EQ(find("usr_1")->email, "");
  EXPECT_NE(squatter, bob);
}

TEST_F(Users, LoseAnAddressTheyOnlyClaimedToWhoProvesIt) {
  auto squatter =
      must(resolve({"https://one", "1", "ada@example.org", false, "Eve", true}, "usr_1"));
  EXPECT_EQ(find("usr_1")->email, "ada@example.org");
  EXPECT_TRUE(find("usr_1")->email_claimed);

  auto ada = must(resolve({"https://one", "2", "ada@example.org", true, "Ada"}, "usr_2"));

  EXPECT_NE(ada, squatter);
  EXPECT_EQ(find("usr_2")->email, "ada@example.org");
  EXPECT_EQ(find("usr_1")->email, "");
  EXPECT_EQ(find("usr_1")->name, "Eve");
  EXPECT_EQ(must(resolve({"https://two", "1", "ada@example.org", true, {}}, "usr_3")), ada);
}

TEST_F(Users, KeepAnAddressThatTheyClaimedAndThenProve) {
  auto claimed = must(resolve({"https://one", "1", "ada@example.org", false, {}, true}, "usr_1"));
  auto proven = must(resolve({"https://one", "1", "ada@example.org", true, {}}, "usr_2"));

  EXPECT_EQ(proven, claimed);
  EXPECT_FALSE(find("usr_1")->email_claimed);
  EXPECT_EQ(must(resolve({"https://two", "1", "ada@example.org", true, {}}, "usr_3")), claimed);
}

TEST_F(Users, ClaimNoAddressThatSomebodyHas) {
  must(resolve({"https://one", "1", "ada@example.org", false, {}, true}, "usr_1"));
  must(resolve({"https://one", "2", "ada@example.org", false, {}, true}, "usr_2"));

  EXPECT_EQ(find("usr_1")->email, "ada@example.org");
  EXPECT_EQ(find("usr_2")->email, "");
}

TEST_F(Users, MayHaveAddressesBeyondAscii) {
  must(resolve({"https://one", "1", "\u00DCnal@example.org", true, {}}, "usr_1"));

  EXPECT_EQ(find("usr_1")->email, "\u00DCnal@example.org");
  EXPECT_EQ(
      insert({.id = {"a"}, .email = "\u00DCNAL@example.org", .created_at = now}).error().field,
      "email");
}

TEST_F(Users, AreCreatedOnceByRacingFirstRequests) {
  for (int round = 0; round < 5; ++round) {
    auto subject = "subject-" + std::to_string(round);
    auto address = subject + "@example.org";
    std::vector<user_id> got(8);
    std::vector<std::thread> racers;
    for (int i = 0; i < 8; ++i)
      racers.emplace_back([&, i] {
        auto own = where.connect();
        // Half of them through another issuer, with the same address.
        external_identity who{i % 2 ? "https://one" : "https://two", subject, address, true, {}};
        auto fresh = "usr_" + std::to_string(round) + "_" + std::to_string(i);
        got[static_cast<std::size_t>(i)] = must(
            writing(own, [&](transaction& tx) { return resolve_identity(tx, who, {fresh}, now); }));
      });
    for (auto& r : racers) r.join();

    for (const auto& id : got) EXPECT_EQ(id, got[0]);
  }
  EXPECT_EQ(where.query("SELECT count(*) FROM users"), "5");
  EXPECT_EQ(where.query("SELECT count(*) FROM identities"), "10");
}

class Sessions : public Users {
protected:
  void SetUp() override { must(insert({.id = {"a"}, .created_at = now})); }

  std::string digest(char c) const { return std::string(31, c) + '\0'; }
  void begin(char c, minutes life, std::int64_t version = 0) {
    must(writing(db, [&](transaction& tx) {
      return insert_login_session(tx, {digest(c), {"a"}, "hub", version, now + life},
                                  now + seconds{c});
    }));
  }
  std::optional<login_session> find_session(char c) {
    return must(
        reading(db, [&](transaction& tx) { return find_login_session(tx, digest(c), now); }));
  }
};

TEST_F(Sessions, AreFoundByTheirDigestUntilTheyExpire) {
  begin('x', minutes{1});
  begin('y', minutes{0});

  auto found = find_session('x');

  ASSERT_TRUE(found);
  EXPECT_EQ(found->digest, digest('x'));
  EXPECT_EQ(found->who, user_id{"a"});
  EXPECT_EQ(found->surface, "hub");
  EXPECT_EQ(found->expires_at, now + minutes{1});
  EXPECT_FALSE(find_session('y'));
  EXPECT_FALSE(find_session('z'));
}

TEST_F(Sessions, OfAnEarlierVersionAreDead) {
  begin('x', minutes{1}, -1);

  EXPECT_FALSE(find_session('x'));
  EXPECT_TRUE(
      must(reading(db, [](transaction& tx) { return login_sessions_of(tx, {"a"}, now); })).empty());
}

TEST_F(Sessions, AreListedNewestFirst) {
  begin('x', minutes{1});
  begin('y', minutes{2});

  auto list = must(reading(db, [](transaction& tx) { return login_sessions_of(tx, {"a"}, now); }));

  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].digest, digest('y'));
}

TEST_F(Sessions, AreSoManyAndALoginBeyondEndsTheOldestOfThatUser) {
  must(insert({.id = {"b"}, .created_at = now}));
  const char oldest = 1, newest = oldest + most_login_sessions;
  for (char c = oldest; c < newest; ++c) begin(c, minutes{9});
  must(writing(db, [&](transaction& tx) {
    return insert_login_session(tx, {std::string(32, 'b'), {"b"}, "hub", 0, now + hours{1}}, now);
  }));
  EXPECT_TRUE(find_session(oldest));

  begin(newest, minutes{9});

  EXPECT_FALSE(find_session(oldest));
  EXPECT_TRUE(find_session(oldest + 1));
  EXPECT_TRUE(find_session(newest));
  EXPECT_EQ(where.query("SELECT count(*) FROM sessions"), "101"); // with b's
}

TEST_F(Sessions, AreDeletedByTheirOwnerOnly) {
  must(insert({.id = {"b"}, .created_at = now}));
  begin('x', minutes{1});
  auto drop = [&](const char* who) {
    must(
        writing(db, [&](transaction& tx) { return delete_login_session(tx, {who}, digest('x')); }));
  };

  drop("b");
  EXPECT_TRUE(find_session('x'));
  drop("a");
  EXPECT_FALSE(find_session('x'));
}

TEST_F(Sessions, AreSweptWhenExpired) {
  begin('x', minutes{1});
  begin('y', minutes{-1});

  auto swept =
      must(writing(db, [](transaction& tx) { return delete_expired_login_sessions(tx, now); }));

  EXPECT_EQ(swept, 1);
  EXPECT_TRUE(find_session('x'));
}

TEST_F(Sessions, ComeWithThePrincipal) {
  auto load = [&](const char* who) {
    return must(
        run_in(db, access::read, [&](transaction& tx) { return load_principal(tx, {who}, now); }));
  };
  EXPECT_EQ(load("a")->sessions.size(), 0u);
  begin('x', minutes{1});
  begin('y', minutes{1});
  begin('z', minutes{-1});

  auto found = load("a");

  ASSERT_TRUE(found);
  EXPECT_EQ(found->who.id, user_id{"a"});
  ASSERT_EQ(found->sessions.size(), 2u);
  EXPECT_EQ(found->sessions[0].digest, digest('y'));
  EXPECT_FALSE(load("nobody"));
}

TEST_F(Users, LeaveAnAuditTrailThatCannotBeChanged) {
  must(writing(db, [](transaction& tx) {
    return write_audit(tx, {{"usr_gone"}, "USER_LOGIN", "usr_1", R"({"ok":true})", "::1"}, now);
  }));
  must(writing(db, [](transaction& tx) { return write_audit(tx, {.action = "SWEEP"}, now); }));

  EXPECT_EQ(where.query("SELECT concat_ws('|', actor, action, target, detail->>'ok', address) "
                        "FROM audit_log ORDER BY id"),
            "usr_gone|USER_LOGIN|usr_1|true|::1");
  for (const auto* tampering :
       {"UPDATE audit_log SET action = 'X'", "DELETE FROM audit_log", "TRUNCATE audit_log"})
    EXPECT_ANY_THROW(where.query(tampering)) << tampering;
}

} // namespace
} // namespace binnacle::persistence
