#include "actors/objects.hpp"

#include "actors/upstream.hpp"
#include "actors/worker_pool.hpp"
#include "config/base/log.hpp"
#include "integrations/r2.hpp"
#include "persistence/database.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <vector>

namespace binnacle {
namespace {

using integrations::http_answer;
using integrations::http_call;
using integrations::http_client;
using integrations::http_stream;
using integrations::object;
using integrations::object_facts;
using integrations::object_name;
using integrations::opened_object;
using integrations::outcome;
namespace r2 = integrations::r2;
using steady = std::chrono::steady_clock;

/// A directory is read by several at once without harm; more would only wait for the same disk.
constexpr std::size_t directory_workers = 2;

class r2_store final : public integrations::object_store {
public:
  explicit r2_store(r2_store_config config)
      : config_{std::move(config)}, account_{r2::account_of(config_.at)},
        streams_{{.stall = config_.at.timeout}}, breaker_{config_.tolerance, config_.rest} {}

  result<done> put(const object_name& name, std::string_view bytes, const std::string& type,
                   instant deadline) override {
    if (!integrations::is_object_key(name.key))
      return internal_fault("no name of an object: " + name.key);
    return r2::read_done(ask(r2::put_object(account_, name, bytes, type), deadline));
  }

  result<std::shared_ptr<const object>> find(const object_name& name, instant deadline) override {
    std::shared_ptr<const object> none;
    if (!integrations::is_object_key(name.key)) return none;
    auto facts = r2::read_facts(ask(r2::head_object(account_, name), deadline));
    if (!facts) return facts.error();
    if (!*facts) return none;
    return std::shared_ptr<const object>{std::make_shared<object>(std::move(**facts))};
  }

  result<opened_object> open(const object_name& name, instant deadline) override {
    opened_object out;
    if (!integrations::is_object_key(name.key)) return out;
    auto answer = stream(r2::get_object(account_, name), deadline, out.bytes);
    auto facts = r2::read_facts(answer);
    if (!facts) return facts.error();
    if (!*facts) return out;
    if (!out.bytes) {
      out.what = std::make_shared<object>(std::move(**facts), std::move(answer->body));
    } else if (streams_.under_way() > most_streams()) {
      return too_many();
    } else {
      out.what = std::make_shared<object>(std::move(**facts));
    }
    return out;
  }

  result<std::shared_ptr<http_stream>> read(const object_name& name, const object_facts& of,
                                            std::uint64_t begin, std::uint64_t size,
                                            instant deadline) override {
    if (streams_.under_way() >= most_streams()) return too_many();
    std::shared_ptr<http_stream> out;
    auto answer = stream(r2::get_part(account_, name, of.etag, begin, size), deadline, out, 0);
    auto is_it = r2::read_part(answer, begin, size);
    if (!is_it) return is_it.error();
    if (!*is_it) out.reset();
    return out;
  }

  result<done> remove(const object_name& name, instant deadline) override {
    if (!integrations::is_object_key(name.key)) return done{};
    return r2::read_done(ask(r2::delete_object(account_, name), deadline));
  }

  void cancel() override {
    cancelled_ = true;
    streams_.cancel();
    std::lock_guard lock{guard_};
    wake_.notify_all();
  }

private:
  using sender = std::function<result<http_answer>(const http_call&)>;

  std::size_t most_streams() const { return static_cast<std::size_t>(config_.at.streams); }
  static fault too_many() {
    return {errc::overloaded, {}, {}, "too many large objects are on their way"};
  }

  result<http_answer> ask(const http_call& call, instant deadline) {
    auto client = take_client();
    auto send = [&](const http_call& c) { return client->send(c, &cancelled_); };
    auto out = ask(call, deadline, send);
    give_back(std::move(client));
    return out;
  }

  /// The answer with its body, if that has at most `most` bytes or is no success; else its head,
  /// and the body comes out of `rest`.
  result<http_answer> stream(const http_call& call, instant deadline,
                             std::shared_ptr<http_stream>& rest,
                             std::size_t most = object::most_in_memory) {
    auto send = [&](const http_call& c) -> result<http_answer> {
      auto until = steady::now() + c.deadline;
      auto opened = streams_.open(c);
      if (!opened) return opened.error();
      auto& answer = opened->head;
      if (answer.status / 100 == 2 && r2::length_of(answer).value_or(0) > most) {
        rest = std::move(opened->body);
        return answer;
      }
      auto body = opened->body->read_all(object::most_in_memory, until);
      if (!body) return body.error();
      answer.body = std::move(*body);
      return answer;
    };
    return ask(call, deadline, send);
  }

  /// Has it sent until there is an answer worth having, or no time is left.
  result<http_answer> ask(http_call call, instant deadline, const sender& send) {
    result<http_answer> last{fault{errc::unavailable, {}, {}, "R2 is left alone for a while"}};
    for (int attempt = 1; admit(deadline); ++attempt) {
      auto left = std::chrono::ceil<milliseconds>(deadline - steady::now());
      call.deadline = std::min(config_.at.timeout, left);
      auto began = steady::now();
      last = send(call);
      auto how = integrations::classify(last);
      observe_call("r2", name_of(how), steady::now() - began);
      auto probe = learn(how, last);
      auto pause = probe ? std::nullopt : config_.retry.delay_before(attempt + 1, last, random());
      if (!pause || !sleep_until(steady::now() + *pause, deadline)) break;
    }
    return last;
  }

  bool admit(instant deadline) {
    std::lock_guard lock{guard_};
    auto now = steady::now();
    if (cancelled_ || now >= deadline || breaker_.is_open(now)) return false;
    return !breaker_.is_probing() || !std::exchange(probing_, true);
  }

  /// True when this was a probe. Refusals and throttling are answers of an R2 that works.
  bool learn(outcome how, const result<http_answer>& got) {
    std::lock_guard lock{guard_};
    auto was_probe = std::exchange(probing_, false);
    if (how != outcome::unreachable && !(got && got->status >= 500)) {
      breaker_.succeeded();
    } else if (!cancelled_ && breaker_.failed(steady::now())) {
      log::warn("r2 circuit opens",
                {{"why", got ? "status " + std::to_string(got->status) : got.error().detail}});
    }
    return was_probe;
  }

  /// False when it would be too late, or nothing is to go on.
  bool sleep_until(instant when, instant deadline) {
    if (when >= deadline) return false;
    std::unique_lock lock{guard_};
    return !wake_.wait_until(lock, when, [this] { return cancelled_.load(); });
  }

  double random() {
    std::lock_guard lock{guard_};
    return random_();
  }

  std::unique_ptr<http_client> take_client() {
    std::lock_guard lock{guard_};
    if (clients_.empty()) return std::make_unique<http_client>();
    auto out = std::move(clients_.back());
    clients_.pop_back();
    return out;
  }
  void give_back(std::unique_ptr<http_client> client) {
    std::lock_guard lock{guard_};
    clients_.push_back(std::move(client));
  }

  const r2_store_config config_;
  const r2::account account_;
  integrations::http_streams streams_;
  std::atomic<bool> cancelled_{false};
  std::mutex guard_{};
  std::condition_variable wake_{};
  circuit_breaker breaker_;
  bool probing_ = false;
  std::vector<std::unique_ptr<http_client>> clients_{};
  std::function<double()> random_ = jitter();
};

} // namespace

r2_store_config r2_store_config_of(const r2_settings& s) {
  r2_store_config out{.at = s};
  out.retry.attempts = static_cast<int>(s.attempts);
  out.rest = s.timeout + s.timeout / 2;
  return out;
}

std::shared_ptr<integrations::object_store> open_r2_store(r2_store_config config) {
  return std::make_shared<r2_store>(std::move(config));
}

std::shared_ptr<integrations::object_store> open_object_store(const settings& s) {
  if (s.r2.configured()) return open_r2_store(r2_store_config_of(s.r2));
  return integrations::open_directory_store(s.data_dir + "/objects");
}

pool_actor spawn_object_workers(caf::actor_system& system, const services& app) {
  const auto& r2 = app.config.r2;
  pool_config pool;
  pool.name = "objects";
  pool.workers = r2.configured() ? static_cast<std::size_t>(r2.parallel) : directory_workers;
  pool.queue = static_cast<std::size_t>(r2.queue);
  return spawn_worker_pool(system, std::move(pool));
}

} // namespace binnacle
