#include <sys/resource.h>

#include <atomic>
#include <random>
#include <set>

#include "support.hpp"

using namespace hyperdrive::proxy::net;
using namespace hyperdrive::proxy::net::test;

TEST_CASE("timers fire in order, may re-arm, disarm and destroy themselves") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  std::string order;
  std::unique_ptr<Timer> self;
  const auto c = loop->timer([&] { order += 'c'; });
  const auto a = loop->timer([&] { order += 'a'; });
  const auto never = loop->timer([&] { order += '!'; });
  const auto moved = loop->timer([&] { order += 'm'; });
  self = loop->timer([&] {
    order += 's';
    self.reset();
  });
  c->arm(60ms);
  a->arm(5ms);
  self->arm(40ms);
  never->arm(10ms);
  never->disarm();
  CHECK_FALSE(never->armed());
  moved->arm(5ms);
  moved->arm(80ms);  // later
  moved->arm(20ms);  // earlier again
  CHECK(moved->armed());
  const auto begin = std::chrono::steady_clock::now();
  run_until(*loop, [&] { return order.size() == 4; });
  CHECK(order == "amsc");
  CHECK(std::chrono::steady_clock::now() - begin >= 55ms);
  CHECK_FALSE(moved->armed());
}

TEST_CASE("a thousand timers armed at random fire when they should") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  std::vector<std::unique_ptr<Timer>> timers;
  std::vector<TimePoint> due(1000);
  int fired = 0;
  int early = 0;
  for (std::size_t i = 0; i < due.size(); ++i) {
    timers.push_back(loop->timer([&, i] {
      ++fired;
      early += loop->now() < due[i];
    }));
  }
  int expected = 0;
  for (int round = 0; round < 5; ++round) {
    for (std::size_t i = 0; i < due.size(); ++i) {
      const Milliseconds after(random() % 100);
      timers[i]->arm(after);
      due[i] = loop->now() + after;
    }
  }
  for (std::size_t i = 0; i < due.size(); ++i) {
    if (random() % 3 == 0) timers[i]->disarm();
    if (random() % 7 == 0) timers[i].reset();
    expected += timers[i] && timers[i]->armed();
  }
  run_until(*loop, [&] { return fired == expected; });
  auto rest = loop->timer([&] { loop->stop(); });
  rest->arm(120ms);
  loop->run();
  CHECK(fired == expected);
  CHECK(early == 0);
}

TEST_CASE("a timer that arms itself with no delay does not hold up the loop") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  int ticks = 0;
  std::unique_ptr<Timer> self;
  self = loop->timer([&] {
    ++ticks;
    self->arm(0ms);
  });
  self->arm(0ms);
  run_until(*loop, [&] { return ticks > 10; });
}

TEST_CASE("tasks posted from many threads all run, each thread's in order") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  constexpr int kThreads = 8;
  constexpr int kTasks = 5000;
  std::vector<int> seen(kThreads, 0);
  int wrong = 0;
  int total = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTasks; ++i) {
        loop->post([&, t, i] {
          wrong += seen[static_cast<std::size_t>(t)]++ != i;
          if (++total == kThreads * kTasks) loop->stop();
        });
      }
    });
  }
  loop->run();
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(total == kThreads * kTasks);
}

TEST_CASE("a post wakes a sleeping loop at once") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  std::thread runner([&] { loop->run(); });
  for (int i = 0; i < 100; ++i) {
    std::atomic<bool> ran = false;
    loop->post([&] {
      ran = true;
      ran.notify_one();
    });
    ran.wait(false);
  }
  loop->stop();
  runner.join();
}

TEST_CASE("deferred tasks run in the same turn, before the sends") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Recorder handler;
  Pair pair(*loop, &handler);
  handler.data = [&](Bytes bytes) {
    pair.stream->write("1");
    loop->defer([&] {
      pair.stream->write("2");
      loop->defer([&] {
        CHECK(pair.stream->unsent() == 2);
        pair.stream->write("3");
      });
    });
    return bytes.size();
  };
  pair.peer.send("go");
  std::string got;
  std::thread reader([&] {
    got = pair.peer.read(3);
    loop->stop();
  });
  loop->run();
  reader.join();
  CHECK(got == "123");
}

TEST_CASE("two thousand connections are served and closed") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < 5000) {
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 8192);
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  struct Echo final : StreamHandler {
    std::unique_ptr<Stream> stream;
    int* closed = nullptr;
    std::size_t on_data(Bytes bytes) override {
      stream->write(bytes);
      return bytes.size();
    }
    void on_closed(CloseReason) override {
      ++*closed;
      stream.reset();
    }
  };
  std::vector<std::unique_ptr<Echo>> echoes;
  int closed = 0;
  const int listening = open_listener("127.0.0.1", 0).value();
  const auto port = listening_port(listening).value();
  const auto listener = loop->listen(listening, [&](std::unique_ptr<Stream> stream) {
    auto echo = std::make_unique<Echo>();
    echo->stream = std::move(stream);
    echo->closed = &closed;
    echo->stream->set_handler(echo.get());
    echoes.push_back(std::move(echo));
  });
  constexpr int kPeers = 2000;
  std::atomic<int> right = 0;
  std::thread clients([&] {
    std::vector<Peer> peers;
    for (int i = 0; i < kPeers; ++i) peers.push_back(Peer::connect(port));
    for (int i = 0; i < kPeers; ++i) peers[static_cast<std::size_t>(i)].send(std::to_string(i));
    for (int i = 0; i < kPeers; ++i) {
      const std::string text = std::to_string(i);
      right += peers[static_cast<std::size_t>(i)].read(text.size()) == text;
    }
  });
  run_until(
      *loop, [&] { return closed == kPeers; }, 60s);
  clients.join();
  CHECK(right == kPeers);
}

TEST_CASE("running out of descriptors neither spins nor loses connections") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  std::vector<std::unique_ptr<Stream>> accepted;
  const int listening = open_listener("127.0.0.1", 0).value();
  const auto port = listening_port(listening).value();
  const auto listener = loop->listen(
      listening, [&](std::unique_ptr<Stream> stream) { accepted.push_back(std::move(stream)); });
  std::vector<Peer> peers;
  for (int i = 0; i < 3; ++i) peers.push_back(Peer::connect(port));
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 3;  // below what is open: nothing more can be opened
  ::setrlimit(RLIMIT_NOFILE, &none);
  rusage start{};
  rusage end{};
  ::getrusage(RUSAGE_THREAD, &start);
  auto later = loop->timer([&] { loop->stop(); });
  later->arm(300ms);
  loop->run();
  ::getrusage(RUSAGE_THREAD, &end);
  const std::size_t accepted_without = accepted.size();
  // Before any check: UBSan itself needs descriptors.
  ::setrlimit(RLIMIT_NOFILE, &before);
  CHECK(accepted_without == 0);
  const auto used =
      (end.ru_utime.tv_sec - start.ru_utime.tv_sec + end.ru_stime.tv_sec - start.ru_stime.tv_sec) *
          1'000'000 +
      end.ru_utime.tv_usec - start.ru_utime.tv_usec + end.ru_stime.tv_usec - start.ru_stime.tv_usec;
  CHECK(used < 100'000);
  run_until(*loop, [&] { return accepted.size() == 3; });
}

TEST_CASE("destroying a listener stops accepting and frees the port") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  const int listening = open_listener("127.0.0.1", 0).value();
  const auto port = listening_port(listening).value();
  auto listener = loop->listen(listening, [&](std::unique_ptr<Stream>) {});
  auto soon = loop->timer([&] { listener.reset(); });
  soon->arm(1ms);
  run_until(*loop, [&] { return listener == nullptr; });
  int again = -1;
  run_until(*loop, [&] {
    const auto opened = open_listener("127.0.0.1", port);
    if (opened) again = *opened;
    return again >= 0;
  });
  ::close(again);
}

// --- connecting
// ---------------------------------------------------------------------------------------

namespace {

struct Outcome {
  bool called = false;
  std::unique_ptr<Stream> stream;
  std::optional<ConnectError> error;
  auto done() {
    return [this](Loop::ConnectResult result) {
      REQUIRE_FALSE(called);
      called = true;
      if (result) {
        stream = std::move(*result);
      } else {
        error = result.error();
      }
    };
  }
};

}  // namespace

TEST_CASE("connect tells refused, unresolved and reached apart") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Outcome outcome;
  std::uint16_t closed_port;
  {
    const int fd = open_listener("127.0.0.1", 0).value();
    closed_port = listening_port(fd).value();
    ::close(fd);
  }
  SECTION("refused") {
    const auto pending = loop->connect("127.0.0.1", closed_port, 5s, outcome.done());
    CHECK_FALSE(outcome.called);
    run_until(*loop, [&] { return outcome.called; });
    REQUIRE(outcome.error);
    CHECK(outcome.error->kind == ConnectError::Kind::kRefused);
    CHECK_THAT(outcome.error->message, Catch::Contains("127.0.0.1"));
  }
  SECTION("unresolved") {
    const auto pending = loop->connect("no-such-host.invalid", 5432, 20s, outcome.done());
    run_until(
        *loop, [&] { return outcome.called; }, 25s);
    REQUIRE(outcome.error);
    CHECK(outcome.error->kind == ConnectError::Kind::kResolve);
  }
  SECTION("reached by the second address of a name") {
    // localhost is ::1 and 127.0.0.1; only one of them listens.
    const int fd = open_listener("127.0.0.1", 0).value();
    const auto port = listening_port(fd).value();
    const auto pending = loop->connect("localhost", port, 5s, outcome.done());
    run_until(*loop, [&] { return outcome.called; });
    REQUIRE(outcome.stream);
    CHECK(outcome.stream->error().empty());
    ::close(fd);
  }
  SECTION("cancelled while the name is looked up") {
    for (int i = 0; i < 50; ++i) {
      auto pending = loop->connect("localhost", closed_port, 5s, outcome.done());
      auto soon = loop->timer([&] { pending.reset(); });
      soon->arm(Milliseconds(i % 3));
      run_until(*loop, [&] { return pending == nullptr || outcome.called; });
      outcome.called = false;
    }
  }
  SECTION("nobody answers") {
    // A full backlog of one: further connection attempts stay unanswered on Linux.
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd, 0) == 0);
    const auto port = listening_port(fd).value();
    Outcome fillers[3];
    std::vector<std::unique_ptr<Loop::Pending>> pendings;
    for (auto& filler : fillers) {
      pendings.push_back(loop->connect("127.0.0.1", port, 30s, filler.done()));
    }
    const auto pending = loop->connect("127.0.0.1", port, 200ms, outcome.done());
    run_until(*loop, [&] { return outcome.called; });
    REQUIRE(outcome.error);
    CHECK(outcome.error->kind == ConnectError::Kind::kTimeout);
    ::close(fd);
  }
}

// --- moving streams between loops
// -----------------------------------------------------------------------

namespace {

struct Runner {
  explicit Runner(Loop::Backend backend)
      : loop(make_loop(backend)), thread([this] { loop->run(); }) {}
  ~Runner() {
    loop->stop();
    thread.join();
  }
  /// Runs `task` on the loop and waits for it.
  void call(const std::function<void()>& task) {
    std::atomic<bool> done = false;
    loop->post([&] {
      task();
      done = true;
      done.notify_one();
    });
    done.wait(false);
  }
  std::unique_ptr<Loop> loop;
  std::thread thread;
};

struct Echoing final : StreamHandler {
  std::unique_ptr<Stream> stream;
  std::atomic<int> closes = 0;
  std::size_t on_data(Bytes bytes) override {
    stream->write(bytes);
    return bytes.size();
  }
  void on_closed(CloseReason) override { ++closes; }
};

/// Moves the stream, by way of the loops' own threads; false if it was lost.
bool move(Echoing& echo, Runner& from, Runner& to) {
  std::atomic<int> state = 0;
  from.loop->post([&] {
    from.loop->detach(std::move(echo.stream), [&](std::unique_ptr<Stream> stream) {
      if (!stream) {
        state = 2;
        state.notify_one();
        return;
      }
      auto* raw = stream.release();
      to.loop->post([&, raw] {
        echo.stream.reset(raw);
        to.loop->attach(*echo.stream);
        state = 1;
        state.notify_one();
      });
    });
  });
  state.wait(0);
  return state == 1;
}

}  // namespace

TEST_CASE("loops that listen on the same socket share its clients") {
  const auto kind = GENERATE(from_range(kBackends));
  Runner loops[] = {Runner(kind), Runner(kind)};
  std::atomic<int> accepted[2] = {};
  std::unique_ptr<Listener> listeners[2];
  std::vector<std::unique_ptr<Stream>> streams[2];
  const int fd = open_listener("127.0.0.1", 0).value();
  const std::uint16_t port = listening_port(fd).value();
  for (int i = 0; i < 2; ++i) {
    loops[i].call([&, i] {
      listeners[i] = loops[i].loop->listen(::dup(fd), [&, i](std::unique_ptr<Stream> stream) {
        streams[i].push_back(std::move(stream));
        ++accepted[i];
      });
    });
  }
  std::vector<Peer> peers;
  for (int n = 1; n <= 60; ++n) {
    peers.push_back(Peer::connect(port));
    while (accepted[0] + accepted[1] < n) std::this_thread::yield();
  }
  INFO("backend " << static_cast<int>(kind));
  CHECK(accepted[0] >= 5);
  CHECK(accepted[1] >= 5);
  for (int i = 0; i < 2; ++i) {
    loops[i].call([&, i] {
      listeners[i].reset();
      streams[i].clear();
    });
  }
  ::close(fd);
}

namespace {

/// Counts what it reads; calls `give_away` when `enough` bytes have come.
struct Leaving final : StreamHandler {
  std::unique_ptr<Stream> stream;
  std::size_t enough = 0;
  std::atomic<std::size_t> got = 0;
  std::function<void()> give_away;
  std::size_t on_data(Bytes bytes) override {
    got += bytes.size();
    if (give_away && got >= enough) std::exchange(give_away, nullptr)();
    return bytes.size();
  }
  void on_closed(CloseReason) override {}
};

bool soon(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!condition() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  return condition();
}

}  // namespace

TEST_CASE("a stream that moves out of the call that presents its last bytes leaves no receive") {
  const auto kind = GENERATE(from_range(kBackends));
  Runner first(kind);
  Runner second(kind);
  Leaving leaving;
  leaving.enough = 80'000;  // over the limit up to which a paused stream is read
  int fds[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  const Peer peer(fds[1]);
  first.call([&] {
    leaving.stream = first.loop->adopt(fds[0]);
    leaving.stream->set_handler(&leaving);
    leaving.stream->pause_reading();
  });
  peer.send(std::string(leaving.enough, 'x'));
  REQUIRE(soon([&] {  // epoll leaves it all in the socket
    std::size_t unread = 0;
    first.call([&] { unread = leaving.stream->unread(); });
    return unread == leaving.enough || kind == Loop::Backend::kEpoll;
  }));
  for (int turn = 0; turn < 5; ++turn) first.call([] {});  // the receive has ended
  std::atomic<bool> moved = false;
  first.call([&] {
    leaving.give_away = [&] {
      first.loop->detach(std::move(leaving.stream), [&](std::unique_ptr<Stream> stream) {
        second.loop->post([&, raw = stream.release()] {
          leaving.stream.reset(raw);
          if (raw != nullptr) second.loop->attach(*raw);
          moved = true;
        });
      });
    };
    leaving.stream->resume_reading();
  });
  REQUIRE(soon([&] { return moved.load(); }));
  REQUIRE(leaving.stream);
  for (std::size_t n = 1; n <= 20; ++n) {
    peer.send("y");  // to a receive that was left behind in the first loop it would be lost
    REQUIRE(soon([&] { return leaving.got == leaving.enough + n; }));
  }
  second.call([&] { leaving.stream.reset(); });
}

TEST_CASE("an idle stream moves between loops of either kind") {
  const auto first_kind = GENERATE(from_range(kBackends));
  const auto second_kind = GENERATE(from_range(kBackends));
  Runner first(first_kind);
  Runner second(second_kind);
  Echoing echo;
  std::atomic<bool> accepted = false;
  std::unique_ptr<Listener> listener;
  std::uint16_t port = 0;
  first.call([&] {
    const int fd = open_listener("127.0.0.1", 0).value();
    port = listening_port(fd).value();
    listener = first.loop->listen(fd, [&](std::unique_ptr<Stream> stream) {
      echo.stream = std::move(stream);
      echo.stream->set_handler(&echo);
      accepted = true;
      accepted.notify_one();
    });
  });
  Peer peer = Peer::connect(port);
  accepted.wait(false);
  for (int i = 0; i < 200; ++i) {
    const std::string text = "message " + std::to_string(i);
    peer.send(text);
    REQUIRE(peer.read(text.size()) == text);
    const bool even = i % 2 == 0;
    REQUIRE(move(echo, even ? first : second, even ? second : first));
  }
  SECTION("bytes that come while it is between loops are not lost") {
    std::string got;
    std::thread reader([&] { got = peer.read(1000 * 5); });
    std::thread writer([&] {
      for (int i = 0; i < 1000; ++i) peer.send("12345");
    });
    writer.join();
    reader.join();
    CHECK(got.size() == 5000);
  }
  SECTION("one whose peer has gone is not handed out") {
    peer.close();
    while (echo.closes == 0) std::this_thread::yield();
    CHECK_FALSE(move(echo, first, second));
  }
  SECTION("one with unread bytes is not handed out") {
    first.call([&] { echo.stream->pause_reading(); });
    peer.send("unasked");
    first.call([&] {
      pollfd ready{echo.stream->fd(), POLLIN, 0};
      while (::poll(&ready, 1, 0) == 0 && echo.stream->unread() == 0) {
        if (first_kind == Loop::Backend::kIoUring) break;
      }
    });
    bool idle = true;
    first.call([&] { idle = echo.stream->unread() == 0; });
    if (!idle || first_kind == Loop::Backend::kEpoll) CHECK_FALSE(move(echo, first, second));
  }
  first.call([&] {
    listener.reset();
    if (echo.stream && &echo.stream->loop() == first.loop.get()) echo.stream.reset();
  });
  second.call([&] { echo.stream.reset(); });
}
