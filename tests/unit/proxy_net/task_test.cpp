#include "proxy/net/task.hpp"

#include "proxy/net/await.hpp"
#include "support.hpp"

using namespace hyperdrive::proxy::net;
using namespace hyperdrive::proxy::net::test;

namespace {

Task<std::string> read_line(StreamReader& reader) {
  const auto line =
      co_await reader.until([](Bytes bytes) { return bytes.find('\n') != Bytes::npos; });
  if (!line) co_return line.error().kind == ReadError::Kind::kTimeout ? "timeout" : "closed";
  const std::string text(line->substr(0, line->find('\n')));
  reader.consume(text.size() + 1);
  co_return text;
}

/// Asks three times, with a pause, and hands the stream on.
Task<std::string> conversation(Stream& stream, StreamHandler* next) {
  StreamReader reader(stream);
  std::string all;
  for (int i = 0; i < 3; ++i) {
    stream.write("say\n");
    all += co_await read_line(reader) + ";";
    co_await Sleep(stream.loop(), 2ms);
  }
  if (next != nullptr) reader.hand_over(next);
  co_return all;
}

Task<int> add(Loop& loop, int a, int b) {
  co_await Sleep(loop, 1ms);
  co_return a + b;
}

Task<void> sum(Loop& loop, int& total) {
  for (int i = 0; i < 5; ++i) total = co_await add(loop, total, i);
}

}  // namespace

TEST_CASE("tasks nest, wait for time, and tell their end") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  int total = 0;
  bool ended = false;
  Job<void> job(sum(*loop, total), [&] { ended = true; });
  job.start();
  CHECK_FALSE(ended);
  run_until(*loop, [&] { return ended; });
  CHECK(total == 10);
}

TEST_CASE("a conversation reads lines however they arrive and hands the rest on") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Recorder next;
  Pair pair(*loop, nullptr);
  std::string all;
  std::unique_ptr<Job<std::string>> job;
  job = std::make_unique<Job<std::string>>(conversation(*pair.stream, &next),
                                           [&](std::string result) {
                                             all = std::move(result);
                                             job.reset();  // from within its own end
                                           });
  job->start();
  SECTION("byte by byte") {
    std::thread writer([&] {
      for (const char byte : std::string("one\ntwo\nthree\nrest")) {
        pair.peer.send({&byte, 1});
        std::this_thread::yield();
      }
    });
    run_until(*loop, [&] { return next.received == "rest"; });
    writer.join();
    CHECK(all == "one;two;three;");
  }
  SECTION("all at once, and then the end") {
    pair.peer.send("one\ntwo\nthree\nrest");
    ::shutdown(pair.peer.fd(), SHUT_WR);
    run_until(*loop, [&] { return next.closes == 1; });
    CHECK(all == "one;two;three;");
    CHECK(next.received == "rest");
  }
  SECTION("the peer ends early") {
    pair.peer.send("one\n");
    pair.peer.close();
    next.closes = 0;
    run_until(*loop, [&] { return !all.empty(); });
    CHECK(all == "one;closed;closed;");
  }
}

TEST_CASE("a read that takes too long fails") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Pair pair(*loop);
  std::string outcome;
  const auto ask = [&]() -> Task<std::string> {
    StreamReader reader(*pair.stream);
    reader.expire_after(20ms);
    co_return co_await read_line(reader);
  };
  Job<std::string> job(ask(), [&](std::string result) { outcome = std::move(result); });
  job.start();
  pair.peer.send("no end of line");
  run_until(*loop, [&] { return !outcome.empty(); });
  CHECK(outcome == "timeout");
}

TEST_CASE("destroying a job withdraws what it waits for") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Pair pair(*loop);
  bool ended = false;
  {
    Job<std::string> job(conversation(*pair.stream, nullptr), [&](std::string) { ended = true; });
    job.start();
    run_until(*loop, [&] { return pair.stream->unsent() == 0; });
  }
  const auto dial = [&]() -> Task<bool> {
    auto result = co_await Connect(*loop, "localhost", pair.port, 1000ms);
    co_return result.has_value();
  };
  {
    Job<bool> job(dial(), [&](bool) { ended = true; });
    job.start();
    auto soon = loop->timer([&] { loop->stop(); });
    soon->arm(0ms);
    loop->run();  // the look-up has begun
  }
  pair.peer.send("one\n");
  auto later = loop->timer([&] { loop->stop(); });
  later->arm(30ms);
  loop->run();
  CHECK_FALSE(ended);
}

TEST_CASE("a task connects by name") {
  const auto loop = make_loop(GENERATE(from_range(kBackends)));
  Pair pair(*loop);
  std::optional<bool> connected;
  const auto dial = [&]() -> Task<bool> {
    auto result = co_await Connect(*loop, "localhost", pair.port, 5000ms);
    co_return result.has_value();
  };
  Job<bool> job(dial(), [&](bool result) { connected = result; });
  job.start();
  run_until(*loop, [&] { return connected.has_value(); });
  CHECK(*connected);
}
