/// CAF's scheduler on Asio's threads: every runnable actor is one job posted to the io_context that
/// also runs the sockets. One thread pool, no hop between I/O and actors, no polling.
#pragma once

#include <boost/asio/io_context.hpp>
#include <caf/fwd.hpp>
#include <cstddef>

namespace caf {
class actor_system_config;
}

namespace binnacle::runtime {

/// Makes the actor system of `config` schedule on `io`. `io` must outlive the system and must still
/// be run while the system is destroyed.
void schedule_on(boost::asio::io_context& io, caf::actor_system_config& config);

/// Call before the actor system is destroyed, with the number of threads that run `io`: a thread
/// that has spawned an actor keeps CAF's logger, and ~actor_system would wait for it for ever.
void forget_logger(boost::asio::io_context& io, std::size_t threads);

/// While one of these lives, the first actor that this thread makes runnable is not posted but
/// kept, and run by the destructor: the message's receiver runs at once, in this thread, without a
/// trip through the queue. For a connection that hands a request to an idle session. Does not nest.
class handoff {
public:
  handoff();
  ~handoff();
  handoff(const handoff&) = delete;
  handoff& operator=(const handoff&) = delete;
};

} // namespace binnacle::runtime
