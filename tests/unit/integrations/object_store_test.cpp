#include "integrations/object_cache.hpp"
#include "integrations/object_store.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

namespace binnacle::integrations {
namespace {

namespace fs = std::filesystem;
constexpr auto never = object_store::instant::max();

class DirectoryStore : public testing::Test {
protected:
  DirectoryStore() { store = open_directory_store(root); }
  ~DirectoryStore() override { fs::remove_all(root); }

  std::shared_ptr<const object> find(const std::string& key) {
    return store->find({"avatars", key}, never).value();
  }
  static std::string text_of(const object& o) {
    std::string out(o.size(), '\0');
    EXPECT_EQ(::pread(o.file(), out.data(), out.size(), 0), static_cast<ssize_t>(out.size()));
    return out;
  }
  void put(const std::string& key, const std::string& bytes, const std::string& type) {
    ASSERT_TRUE(store->put({"avatars", key}, bytes, type, never));
  }

  std::string root =
      (fs::temp_directory_path() / ("objects-" + std::to_string(::getpid()))).string();
  std::unique_ptr<object_store> store{};
};

TEST_F(DirectoryStore, KeepsBytesTypeAndEtag) {
  put("a/b/picture", "bytes", "image/webp");
  auto found = find("a/b/picture");
  ASSERT_TRUE(found);
  EXPECT_EQ(text_of(*found), "bytes");
  EXPECT_EQ(found->facts().content_type, "image/webp");
  EXPECT_EQ(found->facts().etag.size(), 34U);
  auto again = open_directory_store(root)->find({"avatars", "a/b/picture"}, never).value();
  EXPECT_EQ(again->facts().etag, found->facts().etag);
}

TEST_F(DirectoryStore, LeavesNothingBehindWhenItRemoves) {
  put("a", "bytes", "image/webp");
  EXPECT_TRUE(store->remove({"avatars", "a"}, never));
  EXPECT_TRUE(store->remove({"avatars", "a"}, never));
  EXPECT_FALSE(find("a"));
  for (const auto& left : fs::recursive_directory_iterator{root}) EXPECT_TRUE(left.is_directory());
}

TEST_F(DirectoryStore, RemovesWhatACrashCutOffAnHourAgo) {
  put("a", "bytes", "image/webp");
  ASSERT_TRUE(fs::is_empty(root + "/avatars/.new"));
  auto cut_off = [&](const std::string& name, std::chrono::minutes age) {
    auto file = root + "/avatars/.new/" + name;
    std::ofstream{file} << "half";
    fs::last_write_time(file, fs::file_time_type::clock::now() - age);
    return file;
  };
  using std::chrono::minutes;
  auto young = cut_off("1-2", minutes{59});
  auto seen_at_removal = cut_off("1-1", minutes{61});

  ASSERT_TRUE(store->remove({"avatars", "b"}, never));
  EXPECT_FALSE(fs::exists(seen_at_removal));
  EXPECT_TRUE(fs::exists(young));

  auto seen_at_start = cut_off("1-1", minutes{61});
  open_directory_store(root);
  EXPECT_FALSE(fs::exists(seen_at_start));
  EXPECT_TRUE(fs::exists(young));
  EXPECT_EQ(text_of(*find("a")), "bytes");
}

TEST_F(DirectoryStore, AnObjectInUseStaysReadable) {
  put("a", "bytes", "image/webp");
  auto found = find("a");
  ASSERT_TRUE(store->remove({"avatars", "a"}, never));
  EXPECT_EQ(text_of(*found), "bytes");
}

TEST_F(DirectoryStore, ServesWhatSomebodyElseHasPutThere) {
  fs::create_directories(root + "/avatars");
  std::ofstream{root + "/avatars/drawn.png"} << "picture";
  auto found = find("drawn.png");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->facts().content_type, "image/png");
  EXPECT_GT(found->facts().etag.size(), 2U);
}

TEST_F(DirectoryStore, ANoteAboutAnotherFileDoesNotCount) {
  put("a.png", "bytes", "image/webp");
  auto before = find("a.png")->facts().etag;
  std::ofstream{root + "/avatars/a.png"} << "other bytes";
  EXPECT_EQ(find("a.png")->facts().content_type, "image/png");
  EXPECT_NE(find("a.png")->facts().etag, before);
}

TEST_F(DirectoryStore, FindsNothingWhereNoKeyLeads) {
  put("a", "bytes", "image/webp");
  fs::create_symlink("/etc/passwd", root + "/avatars/link");
  for (const auto* key : {"", "..", "../avatars/a", "a/..", "/a", "a/", "a//b", ".about/a", "b",
                          "a/b", "a%00", "\\a", "link"})
    EXPECT_FALSE(find(key)) << key;
  EXPECT_FALSE(store->put({"avatars", "../a"}, "x", "image/png", never));
}

TEST(ObjectKeys, AreOfUnreservedCharactersAndSlashes) {
  EXPECT_TRUE(is_object_key("avatar-u1-1731.webp"));
  EXPECT_TRUE(is_object_key("ai-enhancer/results/user/u1/a~b_c.png"));
  for (const auto* key : {"", "/", "a/", "/a", "a//b", ".", "..", "a/..", ".a", "a b", "a%2F",
                          "a+b", "a\\b", "ä", "a?b", "a#b"})
    EXPECT_FALSE(is_object_key(key)) << key;
  EXPECT_FALSE(is_object_key(std::string(513, 'a')));
}

// -- the cache -----------------------------------------------------------------------------------

std::shared_ptr<const object> of(std::size_t size) {
  return std::make_shared<object>(object_facts{"image/png", "\"e\"", 0, {}},
                                  std::string(size, 'x'));
}

TEST(ObjectCache, ForgetsTheOneThatWasNotUsedForLongest) {
  object_cache cache{{.objects = 2, .bytes = 1'000, .age = std::chrono::seconds{60}}};
  object_cache::instant now{};
  cache.keep({"b", "one"}, of(1), now);
  cache.keep({"b", "two"}, of(1), now);
  EXPECT_TRUE(cache.find({"b", "one"}, now));
  cache.keep({"b", "three"}, of(1), now);
  EXPECT_TRUE(cache.find({"b", "one"}, now));
  EXPECT_FALSE(cache.find({"b", "two"}, now));
}

TEST(ObjectCache, HoldsNoMoreBytesThanItMay) {
  object_cache cache{{.objects = 100, .bytes = 800, .age = std::chrono::seconds{60}}};
  object_cache::instant now{};
  for (int i = 0; i < 9; ++i) cache.keep({"b", std::to_string(i)}, of(100), now);
  EXPECT_FALSE(cache.find({"b", "0"}, now));
  EXPECT_TRUE(cache.find({"b", "8"}, now));
  cache.keep({"b", "huge"}, of(101), now);
  EXPECT_FALSE(cache.find({"b", "huge"}, now));
}

TEST(ObjectCache, IsRightAgainAfterAMinute) {
  object_cache cache;
  object_cache::instant now{};
  cache.keep({"b", "a"}, of(1), now);
  EXPECT_TRUE(cache.find({"b", "a"}, now + std::chrono::seconds{59}));
  EXPECT_FALSE(cache.find({"b", "a"}, now + std::chrono::seconds{60}));
  cache.keep({"b", "a"}, of(1), now);
  cache.forget({"b", "a"});
  EXPECT_FALSE(cache.find({"b", "a"}, now));
}

} // namespace
} // namespace binnacle::integrations
