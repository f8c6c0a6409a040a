// A bare 1:1 TCP relay on the project's own loop: what the loop alone costs.
//   bench_relay PORT     relays to 127.0.0.1:PORT; prints its own port
#include <unordered_map>

#include "listen.hpp"

namespace {

using namespace hyperdrive;
using namespace hyperdrive::proxy::net;

class Link;

class Side final : public StreamHandler {
 public:
  explicit Side(Link& link) : link_(link) {}
  std::size_t on_data(Bytes data) override;
  void on_closed(CloseReason) override;
  void on_drained() override;

  std::unique_ptr<Stream> stream;
  Side* other = nullptr;

 private:
  Link& link_;
};

class Link {
 public:
  Link(Loop& loop, std::unique_ptr<Stream> client, std::uint16_t port, std::function<void()> on_end)
      : on_end_(std::move(on_end)), loop_(loop) {
    client_.other = &server_;
    server_.other = &client_;
    client_.stream = std::move(client);
    connecting_ =
        loop.connect("127.0.0.1", port, Milliseconds(5000), [this](Loop::ConnectResult result) {
          if (!result) return end();
          server_.stream = std::move(*result);
          server_.stream->set_handler(&server_);
          client_.stream->set_handler(&client_);
        });
  }

  void end() {
    if (ended_) return;
    ended_ = true;
    loop_.defer(on_end_);
  }

 private:
  std::function<void()> on_end_;
  Loop& loop_;
  Side client_{*this};
  Side server_{*this};
  std::unique_ptr<Loop::Pending> connecting_;
  bool ended_ = false;
};

std::size_t Side::on_data(Bytes data) {
  other->stream->write(data);
  if (other->stream->unsent() > Stream::kHighWater) stream->pause_reading();
  return data.size();
}

void Side::on_closed(CloseReason) { link_.end(); }
void Side::on_drained() { other->stream->resume_reading(); }

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  const auto loop = bench::make_loop();
  std::unordered_map<int, std::unique_ptr<Link>> links;
  int next = 0;
  const auto listener = bench::listen_and_tell(*loop, [&](std::unique_ptr<Stream> client) {
    const int id = next++;
    links[id] =
        std::make_unique<Link>(*loop, std::move(client), port, [&links, id] { links.erase(id); });
  });
  loop->run();
  return 0;
}
