// The user's configuration handed to each part: the only place that knows both sides.
#pragma once

#include "agent/capture/kernel_source.h"
#include "agent/commands/session.h"
#include "agent/config/report.h"
#include "agent/pipeline.h"
#include "base/result.h"

namespace wirespan {

[[nodiscard]] KernelOptions kernel_options(const Config& config);
[[nodiscard]] PipelineOptions pipeline_options(const Config& config, HostFacts host);
// Exporters in config.export, `otherwise` ("console", "none") when it names none. One URL from --otlp wins over both
// endpoints.
[[nodiscard]] Result<ExportOptions> export_options(const LoadedConfig& loaded, std::string_view otherwise,
                                                   const std::string& otlp_url);

// An environment variable, nullopt when unset.
[[nodiscard]] std::optional<std::string> environment(std::string_view name);

}  // namespace wirespan
