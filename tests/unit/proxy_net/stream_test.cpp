#include "support.hpp"

using namespace hyperdrive::proxy::net;
using namespace hyperdrive::proxy::net::test;

TEST_CASE("bytes arrive and answers go out") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Recorder echo;
  Pair pair(*loop, &echo);
  echo.data = [&](Bytes bytes) {
    pair.stream->write(bytes);
    return bytes.size();
  };
  pair.peer.send("hello");
  std::string answer;
  std::thread reader([&] {
    answer = pair.peer.read(5);
    loop->stop();
  });
  loop->run();
  reader.join();
  CHECK(answer == "hello");
  CHECK(pair.stream->unsent() == 0);
}

TEST_CASE("unused bytes are presented again in front of newer ones") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Recorder codec;
  Pair pair(*loop, &codec);
  std::vector<std::string> messages;
  codec.data = [&](Bytes bytes) -> std::size_t {  // one length byte, then the message
    std::size_t used = 0;
    while (used < bytes.size()) {
      const auto length = static_cast<std::size_t>(bytes[used]);
      if (bytes.size() - used < 1 + length) break;
      messages.emplace_back(bytes.substr(used + 1, length));
      used += 1 + length;
    }
    return used;
  };
  std::thread writer([&] {
    for (const char byte : std::string("\x05hello\x03you\x02ok")) {
      pair.peer.send({&byte, 1});
      std::this_thread::yield();
    }
  });
  run_until(*loop, [&] { return messages.size() == 3; });
  writer.join();
  CHECK(messages == std::vector<std::string>{"hello", "you", "ok"});
  CHECK(pair.stream->unread() == 0);
}

TEST_CASE("a message larger than any buffer is assembled by the stream") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Recorder codec;
  Pair pair(*loop, &codec);
  std::string big(3'000'000, 'x');
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>('a' + i % 23);
  std::string whole;
  codec.data = [&](Bytes bytes) -> std::size_t {
    if (bytes.size() < big.size()) return 0;
    whole = bytes.substr(0, big.size());
    return big.size();
  };
  std::thread writer([&] { pair.peer.send(big); });
  run_until(*loop, [&] { return !whole.empty(); });
  writer.join();
  CHECK(whole == big);
}

TEST_CASE("a stream may be destroyed inside its own on_data") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Recorder handler;
  Pair pair(*loop, &handler);
  handler.data = [&](Bytes) -> std::size_t {
    pair.stream.reset();
    return 1;
  };
  pair.peer.send("goodbye");
  run_until(*loop, [&] { return pair.stream == nullptr; });
  CHECK(pair.peer.read(1).empty());
  CHECK(handler.closes == 0);
}

TEST_CASE("the death of an idle peer is told at once") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Recorder handler;
  Pair pair(*loop, &handler);
  SECTION("closed") {
    pair.peer.close();
    run_until(*loop, [&] { return handler.closes == 1; });
    CHECK(handler.reason == CloseReason::kEof);
  }
  SECTION("reset") {
    pair.peer.reset();
    run_until(*loop, [&] { return handler.closes == 1; });
    CHECK(handler.reason == CloseReason::kReset);
    CHECK_FALSE(pair.stream->error().empty());
  }
  SECTION("closed while paused") {
    pair.stream->pause_reading();
    pair.peer.close();
    run_until(*loop, [&] { return handler.closes == 1; });
  }
  SECTION("reset while paused with bytes unread") {
    pair.stream->pause_reading();
    pair.peer.send("unread");
    run_until(*loop, [&] {
      pollfd ready{pair.stream->fd(), POLLIN, 0};
      return ::poll(&ready, 1, 0) == 1 || pair.stream->unread() == 6;
    });
    pair.peer.reset();
    run_until(*loop, [&] { return handler.closes == 1; });
    CHECK(handler.reason == CloseReason::kReset);
  }
  SECTION("destroyed inside on_closed") {
    handler.closed = [&](CloseReason) { pair.stream.reset(); };
    pair.peer.close();
    run_until(*loop, [&] { return pair.stream == nullptr; });
  }
}

TEST_CASE("end-of-file waits behind bytes that a paused stream has not read") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Recorder handler;
  Pair pair(*loop, &handler);
  pair.stream->pause_reading();
  pair.peer.send("last words");
  pair.peer.close();
  auto later = loop->timer([&] {
    CHECK(handler.closes == 0);
    CHECK(handler.received.empty());
    pair.stream->resume_reading();
  });
  later->arm(50ms);
  run_until(*loop, [&] { return handler.closes == 1; });
  CHECK(handler.received == "last words");
}

TEST_CASE("after a half-close of the peer the answer still goes out") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Recorder handler;
  Pair pair(*loop, &handler);
  handler.closed = [&](CloseReason) {
    pair.stream->write("answer");
    loop->close_later(std::move(pair.stream), 5s);
  };
  pair.peer.send("question");
  ::shutdown(pair.peer.fd(), SHUT_WR);
  run_until(*loop, [&] { return handler.closes == 1; });
  CHECK(handler.received == "question");
  std::string answer;
  std::thread reader([&] {
    answer = pair.peer.read(100);
    loop->stop();
  });
  loop->run();
  reader.join();
  CHECK(answer == "answer");
}

TEST_CASE("pausing under a flood holds the peer back and loses nothing") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Recorder handler;
  Pair pair(*loop, &handler);
  std::uint64_t received = 0;
  std::uint64_t wrong = 0;
  int calls = 0;
  std::unique_ptr<Timer> wake = loop->timer([&] { pair.stream->resume_reading(); });
  bool paused = false;
  handler.data = [&](Bytes bytes) {
    if (paused) ++wrong;
    for (const char byte : bytes) wrong += byte != static_cast<char>(received++ % 251);
    if (++calls % 16 == 0) {
      pair.stream->pause_reading();
      paused = true;
      wake = loop->timer([&] {
        paused = false;
        pair.stream->resume_reading();
      });
      wake->arm(1ms);
    }
    return bytes.size();
  };
  constexpr std::uint64_t kTotal = 20'000'000;
  std::thread writer([&] {
    std::string block(100'000, '\0');
    std::uint64_t at = 0;
    while (at < kTotal) {
      for (char& byte : block) byte = static_cast<char>(at++ % 251);
      pair.peer.send(block);
    }
  });
  run_until(
      *loop, [&] { return received == kTotal; }, 60s);
  writer.join();
  CHECK(wrong == 0);
}

TEST_CASE("a paused stream keeps at most a bounded number of bytes") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Recorder handler;
  Pair pair(*loop, &handler);
  pair.stream->pause_reading();
  std::atomic<bool> ended = false;
  std::thread writer([&] {
    pair.peer.send(std::string(30'000'000, 'x'));
    ended = true;
  });
  auto later = loop->timer([&] {
    CHECK_FALSE(ended);
    // The kernel may have filled 64 buffers of 16 KiB before the loop looks, and 64 KiB are kept.
    CHECK(pair.stream->unread() < 1'200'000);
    pair.stream->resume_reading();
  });
  later->arm(300ms);
  run_until(
      *loop, [&] { return handler.received.size() == 30'000'000; }, 60s);
  writer.join();
}

TEST_CASE("unsent bytes are counted, drained is told once, a stall has a beginning") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Recorder handler;
  Pair pair(*loop, &handler);
  const auto never = std::chrono::steady_clock::time_point{};
  CHECK(pair.stream->stalled_since() == never);
  const std::size_t size = 40'000'000;
  pair.stream->write(std::string(size, 'y'));
  CHECK(pair.stream->unsent() == size);
  run_until(*loop, [&] {
    return pair.stream->stalled_since() != never &&
           loop->now() - pair.stream->stalled_since() > 50ms;
  });
  CHECK(pair.stream->unsent() > 0);
  CHECK(pair.stream->unsent() <= size);
  CHECK(handler.drains == 0);
  std::size_t got = 0;
  std::thread reader([&] { got = pair.peer.read(size).size(); });
  run_until(
      *loop, [&] { return handler.drains == 1; }, 60s);
  reader.join();
  CHECK(got == size);
  CHECK(pair.stream->unsent() == 0);
  CHECK(pair.stream->stalled_since() == never);
}

TEST_CASE("finish sends what is left and then ends the connection") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Recorder handler;
  Pair pair(*loop, &handler);
  const std::string last(5'000'000, 'z');
  pair.stream->write(last);
  loop->close_later(std::move(pair.stream), 10s);
  pair.peer.send("ignored");
  std::string got;
  std::thread reader([&] {
    got = pair.peer.read(last.size() + 1);
    loop->stop();
  });
  loop->run();
  reader.join();
  CHECK(got == last);
  CHECK(handler.received.empty());
  CHECK(handler.closes == 0);
}

TEST_CASE("close_later gives a peer that does not read up after its patience") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Pair pair(*loop);
  pair.stream->write(std::string(40'000'000, 'z'));
  const int fd = pair.stream->fd();
  int closed = 0;
  loop->close_later(std::move(pair.stream), 50ms, [&] { ++closed; });
  run_until(*loop, [&] { return ::fcntl(fd, F_GETFD) == -1; });
  CHECK(closed == 1);
}

TEST_CASE("close_later says when the peer has closed, too") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Pair pair(*loop);
  pair.stream->write("goodbye");
  bool leaves = false;
  bool closed = false;
  loop->close_later(std::move(pair.stream), 60s, [&] { closed = true; });
  std::thread reader([&] {
    CHECK(pair.peer.read(8) == "goodbye");
    loop->post([&] {
      CHECK_FALSE(closed);
      leaves = true;
    });
  });
  run_until(*loop, [&] { return leaves; });
  reader.join();
  pair.peer.close();
  run_until(
      *loop, [&] { return closed; }, 30s);
}

TEST_CASE("another handler may take over and see what the first left") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Recorder first;
  Recorder second;
  Pair pair(*loop, &first);
  SECTION("from within on_data") {
    first.data = [&](Bytes) -> std::size_t {
      pair.stream->set_handler(&second);
      pair.stream->resume_reading();
      return 3;
    };
    pair.peer.send("onetwo");
    run_until(*loop, [&] { return second.received == "two"; });
  }
  SECTION("later") {
    first.data = [&](Bytes) -> std::size_t { return 0; };
    pair.peer.send("onetwo");
    run_until(*loop, [&] { return pair.stream->unread() == 6; });
    pair.stream->set_handler(&second);
    pair.stream->resume_reading();
    run_until(*loop, [&] { return second.received == "onetwo"; });
  }
}

TEST_CASE("a handler that resumes without using anything does not spin") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Recorder handler;
  Pair pair(*loop, &handler);
  int calls = 0;
  handler.data = [&](Bytes) -> std::size_t {
    ++calls;
    pair.stream->pause_reading();
    pair.stream->resume_reading();
    return 0;
  };
  pair.peer.send("partial");
  auto later = loop->timer([&] { loop->stop(); });
  later->arm(50ms);
  loop->run();
  CHECK(calls >= 1);
  CHECK(calls <= 7);
}

TEST_CASE("many writes of a turn and reserve keep their order") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Pair pair(*loop);
  std::string expected;
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = std::to_string(i) + ",";
    if (i % 2 == 0) {
      pair.stream->write(text);
    } else {
      text.copy(pair.stream->reserve(text.size()), text.size());
    }
    expected += text;
  }
  std::string got;
  std::thread reader([&] {
    got = pair.peer.read(expected.size());
    loop->stop();
  });
  loop->run();
  reader.join();
  CHECK(got == expected);
}
