#include "integrations/http_stream.hpp"

#include "config/base/metrics.hpp"
#include "integrations/transfer.hpp"

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

namespace binnacle::integrations {

using steady = std::chrono::steady_clock;

namespace {

/// Between two looks at who has not heard from its upstream.
constexpr std::chrono::milliseconds look_interval{500};

prometheus::Gauge& streams_under_way() {
  static auto& gauge = metrics::gauge("binnacle_upstream_streams",
                                      "Answers of upstreams that pass through piece by piece");
  return gauge;
}

} // namespace

/// What the taker shares with the thread that moves.
struct http_stream::transfer_state final : transfer::taker {
  enum class phase : std::uint8_t { head_awaited, flowing, over, broken };

  transfer_state(http_call what, std::size_t ahead_, std::function<void(transfer_state&)> attend)
      : call{std::move(what)}, ahead{ahead_}, ask_attention{std::move(attend)} {}

  // -- on the thread that moves

  void take_head() override {
    last_sign = steady::now();
    std::lock_guard lock{guard};
    head = of.head();
    now = phase::flowing;
    changed.notify_all();
  }

  transfer::taken take_body(std::string_view bytes) override {
    last_sign = steady::now();
    std::function<void()> wake_now;
    {
      std::lock_guard lock{guard};
      if (left) return transfer::taken::never;
      if (waiting.size() >= ahead) {
        paused = true;
        return transfer::taken::later;
      }
      waiting.append(bytes);
      wake_now = std::exchange(wake, nullptr);
      changed.notify_all();
    }
    if (wake_now) wake_now();
    return transfer::taken::all;
  }

  void finish(std::optional<fault> failure) {
    std::function<void()> wake_now;
    {
      std::lock_guard lock{guard};
      if (now == phase::broken || now == phase::over) return; // ended by its taker
      now = failure ? phase::broken : phase::over;
      if (failure) reason = failure->detail;
      wake_now = std::exchange(wake, nullptr);
      changed.notify_all();
    }
    if (wake_now) wake_now();
  }

  /// Takes the pause back, if the taker has made room.
  bool may_resume() {
    std::lock_guard lock{guard};
    if (!paused || waiting.size() >= ahead) return false;
    last_sign = steady::now();
    paused = false;
    return true;
  }
  bool is_left() const {
    std::lock_guard lock{guard};
    return left;
  }
  bool is_stalled(steady::time_point at, std::chrono::milliseconds patience) const {
    std::lock_guard lock{guard};
    return !paused && at - last_sign >= patience;
  }

  // -- on the taker's

  http_stream::next take(std::string& out) {
    out.clear();
    auto has_room_again = false;
    {
      std::lock_guard lock{guard};
      if (waiting.empty())
        return now == phase::over     ? next::over
               : now == phase::broken ? next::broken
                                      : next::nothing;
      std::swap(out, waiting);
      has_room_again = paused;
    }
    if (has_room_again) ask_attention(*this);
    return next::bytes;
  }

  const http_call call;
  const std::size_t ahead;
  const std::function<void(transfer_state&)> ask_attention;
  transfer of{};
  steady::time_point last_sign = steady::now(); // of the thread that moves

  mutable std::mutex guard{};
  std::condition_variable changed{};
  phase now = phase::head_awaited;
  http_answer head{};
  std::string waiting{};
  std::string reason{};
  std::function<void()> wake{};
  bool paused = false;
  bool left = false; // by its taker
};

http_stream::http_stream(std::shared_ptr<transfer_state> state) : state_{std::move(state)} {}

http_stream::~http_stream() {
  {
    std::lock_guard lock{state_->guard};
    state_->left = true;
    state_->wake = nullptr;
    if (state_->now == transfer_state::phase::over || state_->now == transfer_state::phase::broken)
      return;
  }
  state_->ask_attention(*state_);
}

void http_stream::end() {
  {
    std::lock_guard lock{state_->guard};
    state_->left = true;
  }
  state_->finish(state_->of.failed("it was ended"));
  state_->ask_attention(*state_);
}

http_stream::next http_stream::take(std::string& out) { return state_->take(out); }

void http_stream::when_ready(std::function<void()> wake) {
  {
    std::lock_guard lock{state_->guard};
    auto moving = state_->now == transfer_state::phase::head_awaited ||
                  state_->now == transfer_state::phase::flowing;
    if (state_->waiting.empty() && moving) {
      state_->wake = std::move(wake);
      return;
    }
  }
  wake();
}

result<std::string> http_stream::read_all(std::size_t most, steady::time_point deadline) {
  std::string out, some;
  for (;;) {
    switch (take(some)) {
    case next::bytes:
      if (some.size() > most - out.size())
        return state_->of.failed("the answer is larger than " + std::to_string(most) + " bytes");
      out.append(some);
      break;
    case next::nothing: {
      std::unique_lock lock{state_->guard};
      auto came = state_->changed.wait_until(lock, deadline, [this] {
        return !state_->waiting.empty() || state_->now != transfer_state::phase::flowing;
      });
      if (!came) return state_->of.failed("the answer did not come to its end in time");
      break;
    }
    case next::over:
      return out;
    case next::broken:
      return fault{errc::upstream_failed, {}, {}, why()};
    }
  }
}

std::string http_stream::why() const {
  std::lock_guard lock{state_->guard};
  return state_->reason;
}

/// The thread, and what it is told.
class http_streams::mover {
public:
  using transfer_state = http_stream::transfer_state;
  using milliseconds = std::chrono::milliseconds;

  explicit mover(limits l) : rules{l}, multi_{curl_multi_init()} {
    if (multi_ == nullptr) throw std::bad_alloc{};
  }
  mover(const mover&) = delete;
  mover& operator=(const mover&) = delete;
  ~mover() {
    no_broken_pipe_signal guard;
    curl_multi_cleanup(multi_);
  }

  void start() {
    thread_ = std::thread{[this] { run(); }};
  }
  void stop() {
    {
      std::lock_guard lock{guard_};
      stopping_ = true;
    }
    curl_multi_wakeup(multi_);
  }
  void join() {
    if (thread_.joinable()) thread_.join();
  }

  /// False when it stops.
  bool add(std::shared_ptr<transfer_state> what) {
    {
      std::lock_guard lock{guard_};
      if (stopping_) return false;
      ++under_way_;
      streams_under_way().Increment();
      fresh_.push_back(std::move(what));
    }
    curl_multi_wakeup(multi_);
    return true;
  }

  /// Its taker has made room, or left.
  void attend(transfer_state& what) {
    {
      std::lock_guard lock{guard_};
      asking_.push_back(what.of.handle());
    }
    curl_multi_wakeup(multi_);
  }

  std::size_t under_way() const {
    std::lock_guard lock{guard_};
    return under_way_;
  }

  const limits rules;

private:
  using moving = std::map<CURL*, std::shared_ptr<transfer_state>>;

  void run() {
    no_broken_pipe_signal guard;
    auto next_look = steady::now() + look_interval;
    for (;;) {
      auto [fresh, asking, stopping] = told();
      if (stopping) {
        for (auto& f : fresh) end(*f, f->of.failed("the service stops"));
        while (!moving_.empty()) drop(moving_.begin(), "the service stops");
        return;
      }
      for (auto& f : fresh) begin(f);
      for (auto* handle : asking)
        if (auto found = moving_.find(handle); found != moving_.end()) look_after(found);
      int running = 0;
      curl_multi_perform(multi_, &running);
      take_verdicts();
      if (auto now = steady::now(); now >= next_look) {
        next_look = now + look_interval;
        end_the_stalled(now);
      }
      auto patience = moving_.empty() ? std::chrono::hours{1} : look_interval;
      curl_multi_poll(multi_, nullptr, 0, static_cast<int>(milliseconds{patience}.count()),
                      nullptr);
    }
  }

  struct news {
    std::vector<std::shared_ptr<transfer_state>> fresh;
    std::vector<CURL*> asking;
    bool stopping;
  };
  news told() {
    std::lock_guard lock{guard_};
    return {std::exchange(fresh_, {}), std::exchange(asking_, {}), stopping_};
  }

  void begin(const std::shared_ptr<transfer_state>& what) {
    what->last_sign = steady::now();
    if (curl_multi_add_handle(multi_, what->of.handle()) != CURLM_OK)
      return end(*what, what->of.failed("libcurl does not take it"));
    moving_.emplace(what->of.handle(), what);
  }

  void look_after(moving::iterator which) {
    auto what = which->second;
    if (what->is_left()) return drop(which, "nobody takes it");
    // May call take_body at once, with what it was offered before.
    if (what->may_resume()) curl_easy_pause(what->of.handle(), CURLPAUSE_CONT);
  }

  void take_verdicts() {
    int left = 0;
    while (auto* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      auto verdict = message->data.result;
      auto which = moving_.find(message->easy_handle);
      auto what = which->second;
      moving_.erase(which);
      curl_multi_remove_handle(multi_, what->of.handle());
      auto concluded = what->of.conclude(verdict);
      end(*what, concluded ? std::nullopt : std::optional{concluded.error()});
    }
  }

  void end_the_stalled(steady::time_point now) {
    for (auto it = moving_.begin(); it != moving_.end();) {
      auto which = it++;
      if (which->second->is_left())
        drop(which, "nobody takes it");
      else if (which->second->is_stalled(now, rules.stall))
        drop(which, "nothing came for too long");
    }
  }

  void drop(moving::iterator which, const std::string& why) {
    auto what = which->second;
    moving_.erase(which);
    curl_multi_remove_handle(multi_, what->of.handle());
    end(*what, what->of.failed(why));
  }

  void end(transfer_state& what, std::optional<fault> failure) {
    {
      std::lock_guard lock{guard_};
      --under_way_;
      streams_under_way().Decrement();
    }
    what.finish(std::move(failure));
  }

  CURLM* const multi_;
  std::thread thread_{};
  moving moving_{}; // the thread's own
  mutable std::mutex guard_{};
  std::vector<std::shared_ptr<transfer_state>> fresh_{};
  std::vector<CURL*> asking_{};
  std::size_t under_way_ = 0;
  bool stopping_ = false;
};

http_streams::http_streams() : http_streams{limits{}} {}

http_streams::http_streams(limits l) : mover_{std::make_shared<mover>(l)} { mover_->start(); }

http_streams::~http_streams() { cancel(); }

void http_streams::cancel() {
  mover_->stop();
  mover_->join();
}

std::size_t http_streams::under_way() const { return mover_->under_way(); }

result<http_streams::opened> http_streams::open(http_call call) {
  using phase = http_stream::transfer_state::phase;
  auto deadline = steady::now() + call.deadline;
  auto state = std::make_shared<http_stream::transfer_state>(
      std::move(call), mover_->rules.ahead,
      [of = mover_](http_stream::transfer_state& s) { of->attend(s); });
  if (auto problem = state->of.prepare(state->call, false, *state)) return *problem;
  if (!mover_->add(state)) return state->of.failed("the service stops");
  opened out;
  out.body = std::make_unique<http_stream>(state); // ends the transfer when we return early
  std::unique_lock lock{state->guard};
  auto came =
      state->changed.wait_until(lock, deadline, [&] { return state->now != phase::head_awaited; });
  // Short bodies are over already, and what breaks off then is for the taker to see.
  if (!came || (state->now == phase::broken && state->head.status == 0)) {
    auto why = came ? fault{errc::upstream_failed, {}, {}, state->reason}
                    : state->of.failed("no answer in time");
    lock.unlock();
    return why;
  }
  out.head = state->head;
  lock.unlock();
  return out;
}

} // namespace binnacle::integrations
