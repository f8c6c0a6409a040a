// What the main thread does while the workers work: signals, the hand-over to a successor, the end.
//
//   SIGTERM, SIGINT   drain; a second one ends at once
//   SIGHUP            tells where a reload comes from (the admin socket carries the document)
//   hand-over socket  sends the listeners to a successor, then drains when it says that it accepts
#pragma once

#include <string>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "proxy/server/proxy.hpp"

namespace hyperdrive::proxy::server {

/// Blocks the signals that the supervisor takes; before any thread is made.
void block_signals();

class Supervisor {
 public:
  explicit Supervisor(Proxy& proxy);
  core::Result<void> open();
  /// Until the proxy has ended.
  void run();

 private:
  void on_signal();
  void on_successor();
  void on_successor_speaks();

  Proxy& proxy_;
  core::Descriptor signals_;
  core::Descriptor ended_;
  core::Descriptor handover_;
  core::Descriptor successor_;
  std::string handover_path_;
  int terminations_ = 0;
  bool over_ = false;
};

}  // namespace hyperdrive::proxy::server
