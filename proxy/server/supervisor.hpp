// What the main thread does while the workers work: signals, the hand-over to a successor, the end.
//
//   SIGTERM, SIGINT   drain; a second one cuts everybody off, one more ends at once
//   SIGHUP            reads the certificate files again, all or nothing, and reopens the log; a new
//                     configuration comes by the admin socket, for it holds secrets
//                     (docs/decisions/021-sighup.md)
//   hand-over socket  sends the listeners to a successor, then drains when it says that it accepts,
//                     and cancels what it asks for
//   every few seconds writes troubles to the log
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/base/error.hpp"
#include "core/base/file.hpp"
#include "core/base/handover.hpp"
#include "proxy/server/log_file.hpp"
#include "proxy/server/proxy.hpp"
#include "proxy/server/trouble_log.hpp"

namespace hyperdrive::proxy::server {

/// Blocks the signals that the supervisor takes; before any thread is made.
void block_signals();

class Supervisor {
 public:
  /// `log`: null where the log is not a file.
  Supervisor(Proxy& proxy, std::shared_ptr<LogFile> log,
             std::shared_ptr<const core::Predecessor> predecessor);
  core::Result<void> open();
  /// Until the proxy has ended. `handed_over` is called when a successor has taken over.
  void run(std::function<void()> handed_over);
  /// A successor has taken over: port, lock and files are its own.
  bool handed_over() const { return handed_over_; }

 private:
  void on_signal();
  void reload();
  void on_successor();
  void on_successor_speaks();
  void on_predecessor_ended();
  void pass_over();

  Proxy& proxy_;
  std::shared_ptr<LogFile> log_;
  TroubleLog troubles_;
  std::shared_ptr<const core::Predecessor> predecessor_;
  bool predecessor_lives_;
  core::Descriptor signals_;
  core::Descriptor ended_;
  core::Descriptor handover_;
  core::Descriptor successor_;
  core::PassedCancels cancels_;  // that it did not know
  bool handed_over_ = false;
  std::function<void()> tell_handed_over_;
  std::string handover_path_;
  int terminations_ = 0;
  bool over_ = false;
};

}  // namespace hyperdrive::proxy::server
