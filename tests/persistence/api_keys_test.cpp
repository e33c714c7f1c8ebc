#include "persistence/api_keys.hpp"

#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

namespace binnacle::persistence {
namespace {

using namespace std::chrono_literals;

const auto noon = *parse_iso("2026-03-10T12:00:00Z");
const user_id ada{"usr_ada"}, bob{"usr_bob"};
const developer_project_id project{"01KA0000000000000000000001"};
const developer_project_id other_project{"01KA0000000000000000000002"};

class ApiKeys : public testing::Test {
protected:
  template <class F>
  auto write(F f) {
    return must(writing(db, f));
  }
  ApiKeys() {
    write([](transaction& tx) {
      must(insert_user(tx, {.id = ada, .created_at = noon}));
      return insert_user(tx, {.id = bob, .created_at = noon});
    });
    for (const auto& [id, owner] : {std::pair{project, ada}, std::pair{other_project, ada}})
      where.query("INSERT INTO developer_projects (id, owner_id, name, created_at, updated_at) "
                  "VALUES ('" +
                  id.value + "', '" + owner.value + "', 'a project', now(), now())");
  }

  static hashed_secret secret_of(char c) { return {std::string(32, c), std::string(4, c)}; }
  static api_key key(int number, time_point at = noon) {
    auto digits = std::to_string(number);
    api_key out;
    out.id = "01KB" + std::string(22 - digits.size(), '0') + digits;
    out.name = "key " + digits;
    out.client_id = "pk_" + std::string(32 - digits.size(), '0') + digits;
    out.scopes = {"orders:read", "orders:write"};
    out.created_at = at;
    return out;
  }
  api_key add(int number, time_point at = noon, const developer_project_id& to = project) {
    auto made = key(number, at);
    write([&](transaction& tx) { return insert_api_key(tx, ada, to, made, secret_of('a')); });
    return made;
  }
  std::vector<api_key> list(const user_id& who = ada) {
    return write([&](transaction& tx) { return list_api_keys(tx, who, project); });
  }
  std::vector<verifiable_key> verifiable(const api_key& k) {
    return write([&](transaction& tx) { return find_verifiable_keys(tx, {k.client_id, "pk_x"}); });
  }
  api_key revoke(const api_key& k, time_point at) {
    return write([&](transaction& tx) { return revoke_api_key(tx, ada, project, k.id, at); });
  }
  api_key rotate(const api_key& k, char fresh, time_point until, time_point at) {
    return write([&](transaction& tx) {
      return rotate_api_key(tx, ada, project, k.id, secret_of(fresh), until, at);
    });
  }
  template <class F>
  errc refused(F f) {
    auto out = writing(db, f);
    return out ? errc::none : out.error().code;
  }

  test_database where{};
  database db = where.connect();
};

TEST_F(ApiKeys, AreListedNewestFirst) {
  add(1);
  add(2, noon + 1s);
  add(3, noon + 1s);

  auto found = list();

  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].name, "key 3"); // of the same second: the greater id
  EXPECT_EQ(found[1].name, "key 2");
  EXPECT_EQ(found[2].name, "key 1");
  EXPECT_EQ(found[2].scopes, (std::vector<std::string>{"orders:read", "orders:write"}));
  EXPECT_EQ(found[2].created_at, noon);
  EXPECT_FALSE(found[2].last_used_at || found[2].revoked_at || found[2].previous_until);
}

TEST_F(ApiKeys, AreTheirProjectsOwnersAlone) {
  auto k = add(1);

  EXPECT_EQ(refused([&](transaction& tx) { return list_api_keys(tx, bob, project); }),
            errc::forbidden);
  EXPECT_EQ(refused([&](transaction& tx) { return list_api_keys(tx, ada, {"nothing"}); }),
            errc::not_found);
  EXPECT_EQ(refused([&](transaction& tx) {
              return insert_api_key(tx, bob, project, key(2), secret_of('b'));
            }),
            errc::forbidden);
  EXPECT_EQ(refused([&](transaction& tx) { return revoke_api_key(tx, bob, project, k.id, noon); }),
            errc::forbidden);
  EXPECT_EQ(
      refused([&](transaction& tx) { return revoke_api_key(tx, ada, other_project, k.id, noon); }),
      errc::not_found);
  EXPECT_EQ(refused([&](transaction& tx) {
              return rotate_api_key(tx, bob, project, k.id, secret_of('b'), noon, noon);
            }),
            errc::forbidden);
  where.query("UPDATE developer_projects SET deleted_at = now()");
  EXPECT_EQ(refused([&](transaction& tx) { return list_api_keys(tx, ada, project); }),
            errc::not_found);
}

TEST_F(ApiKeys, AreRevokedOnce) {
  auto k = add(1);

  auto first = revoke(k, noon + 1500ms);
  auto again = revoke(k, noon + 1h);

  EXPECT_EQ(first.revoked_at, noon + 1s); // whole seconds
  EXPECT_EQ(again.revoked_at, noon + 1s);
  EXPECT_TRUE(verifiable(k).empty());
  EXPECT_EQ(list().at(0).revoked_at, noon + 1s);
}

TEST_F(ApiKeys, KeepTheirNameAndTheSecretBeforeWhenRotated) {
  auto k = add(1);

  auto rotated = rotate(k, 'b', noon + 1h, noon);

  EXPECT_EQ(rotated.client_id, k.client_id);
  EXPECT_EQ(rotated.previous_until, noon + 1h);
  auto found = verifiable(k).at(0);
  EXPECT_EQ(found.digest, std::string(32, 'b'));
  EXPECT_EQ(found.previous_digest, std::string(32, 'a'));
  EXPECT_EQ(found.previous_until, noon + 1h);
  EXPECT_EQ(list().at(0).secret_last, "bbbb");

  rotate(k, 'c', noon + 2h, noon + 1s);
  EXPECT_EQ(verifiable(k).at(0).previous_digest, std::string(32, 'b')); // that of before is over
}

TEST_F(ApiKeys, KeepNoSecretBeforeWithoutAGrace) {
  auto k = add(1);
  rotate(k, 'b', noon + 1h, noon);

  auto rotated = rotate(k, 'c', noon, noon);

  EXPECT_FALSE(rotated.previous_until);
  EXPECT_EQ(verifiable(k).at(0).previous_digest, "");
}

TEST_F(ApiKeys, AreNotRotatedWhenTheyAreRevoked) {
  auto k = add(1);
  revoke(k, noon);

  EXPECT_EQ(refused([&](transaction& tx) {
              return rotate_api_key(tx, ada, project, k.id, secret_of('b'), noon, noon);
            }),
            errc::conflict);
}

TEST_F(ApiKeys, AreNoGoodWhileTheirOwnerIsSuspendedOrTheirProjectIsGone) {
  auto k = add(1);
  ASSERT_EQ(verifiable(k).size(), 1U);

  where.query("UPDATE users SET status = 'suspended' WHERE id = 'usr_ada'");
  EXPECT_TRUE(verifiable(k).empty());
  where.query("UPDATE users SET status = 'active' WHERE id = 'usr_ada'");
  EXPECT_EQ(verifiable(k).size(), 1U);
  where.query("UPDATE developer_projects SET deleted_at = now()");
  EXPECT_TRUE(verifiable(k).empty());
}

TEST_F(ApiKeys, AreAHundredOfAProjectAtMostThatAreActive) {
  for (int i = 0; i < most_active_api_keys; ++i) add(i);
  auto one_more = [&](transaction& tx) {
    return insert_api_key(tx, ada, project, key(1'000), secret_of('a'));
  };

  EXPECT_EQ(refused(one_more), errc::conflict);
  add(2'000, noon, other_project);
  revoke(key(7), noon);
  EXPECT_EQ(refused(one_more), errc::none);
}

TEST_F(ApiKeys, WereUsedWhenTheyWereUsedLast) {
  auto one = add(1), two = add(2);
  auto note = [&](std::map<std::string, time_point> uses) {
    write([&](transaction& tx) { return note_key_uses(tx, uses); });
  };

  note({{one.id, noon + 1min}, {two.id, noon}, {"nothing", noon}});
  note({{one.id, noon}}); // from another node, later

  auto found = list();
  EXPECT_EQ(found.at(1).last_used_at, noon + 1min);
  EXPECT_EQ(found.at(0).last_used_at, noon);
}

TEST_F(ApiKeys, AreDeletedLongAfterTheirRevocation) {
  auto one = add(1), two = add(2);
  revoke(one, noon);
  revoke(two, noon + 1h);

  EXPECT_EQ(write([&](transaction& tx) { return delete_revoked_api_keys(tx, noon); }), 1);
  ASSERT_EQ(list().size(), 1U);
  EXPECT_EQ(list().at(0).id, two.id);
}

TEST_F(ApiKeys, TellTheirOwnerOfEveryChange) {
  auto changes_of = [&](auto f) {
    std::vector<change> out;
    must(db.run(
        access::write,
        [&](transaction& tx) -> result<done> {
          must(f(tx));
          return done{};
        },
        &out));
    return out;
  };
  const std::vector<change> told{{topic::api_keys, ada}};
  auto k = key(1);

  EXPECT_EQ(changes_of([&](transaction& tx) {
              return insert_api_key(tx, ada, project, k, secret_of('a'));
            }),
            told);
  EXPECT_EQ(changes_of([&](transaction& tx) {
              return rotate_api_key(tx, ada, project, k.id, secret_of('b'), noon, noon);
            }),
            told);
  EXPECT_EQ(
      changes_of([&](transaction& tx) { return revoke_api_key(tx, ada, project, k.id, noon); }),
      told);
}

} // namespace
} // namespace binnacle::persistence
