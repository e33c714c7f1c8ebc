#include "persistence/hub_news.hpp"

#include "persistence/sql.hpp"

namespace binnacle::persistence {

constexpr int shown = 10;

constexpr statement add_notification{"notify_user", R"sql(
  INSERT INTO hub_notifications (user_id, source, type, title, message, created_at)
  VALUES ($1, $2, $3, $4, $5, $6)
  ON CONFLICT (user_id, source) DO NOTHING
)sql"};
result<done> notify_user(transaction& tx, const user_id& who, const hub_notification& n,
                         time_point now) {
  exec(tx, add_notification, who, n.source, n.type, n.title, n.message, now);
  return done{};
}

constexpr statement newest_notifications{"notifications_of", R"sql(
  SELECT id, source, type, title, message, read_at IS NOT NULL, created_at
  FROM hub_notifications WHERE user_id = $1 ORDER BY id DESC LIMIT $2
)sql"};
result<std::vector<hub_notification>> notifications_of(transaction& tx, const user_id& who) {
  std::vector<hub_notification> out;
  for (auto row : exec(tx, newest_notifications, who, shown))
    out.push_back({.id = integer_of(row[0]),
                   .source = text_of(row[1]),
                   .type = text_of(row[2]),
                   .title = text_of(row[3]),
                   .message = text_of(row[4]),
                   .read = truth_of(row[5]),
                   .created_at = time_of(row[6])});
  return out;
}

constexpr statement last_actions{"activity_of", R"sql(
  SELECT id, action, at FROM audit_log WHERE actor = $1 ORDER BY id DESC LIMIT $2
)sql"};
result<std::vector<activity>> activity_of(transaction& tx, const user_id& who) {
  std::vector<activity> out;
  for (auto row : exec(tx, last_actions, who, shown))
    out.push_back({.id = integer_of(row[0]), .action = text_of(row[1]), .at = time_of(row[2])});
  return out;
}

} // namespace binnacle::persistence
