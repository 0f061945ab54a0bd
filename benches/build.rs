//! Compiles the benchmarks' schema for each contender that has one.
//!
//! **Invariant**: the same schema for all; no protoc to install.

use protox::prost::Message as _;

const SCHEMA: &str = "schemas/bench.proto";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=schemas");
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    daemoneye_ipc_codegen::Generator::new().compile(&[SCHEMA], &["schemas"])?;

    let descriptors = protox::compile([SCHEMA], ["schemas"])?;
    let set = out.join("set.bin");
    std::fs::write(&set, descriptors.encode_to_vec())?;

    let tonic = out.join("tonic");
    std::fs::create_dir_all(&tonic)?;
    tonic_prost_build::configure()
        .bytes(".")
        .out_dir(&tonic)
        .compile_fds(descriptors)?;

    let connect = out.join("connect");
    std::fs::create_dir_all(&connect)?;
    let mut messages = buffa_codegen::CodeGenConfig::default();
    messages.bytes_fields = vec![(".".to_owned(), buffa_codegen::BytesRepr::Bytes)];
    connectrpc_build::Config::new()
        .buffa_config(messages)
        .generate_json(true)
        .files(&["bench.proto"])
        .descriptor_set(&set)
        .out_dir(&connect)
        .include_file("mod.rs")
        .compile()?;

    let ttrpc = out.join("ttrpc");
    std::fs::create_dir_all(&ttrpc)?;
    ttrpc_codegen::Codegen::new()
        .out_dir(&ttrpc)
        .inputs([SCHEMA])
        .include("schemas")
        .rust_protobuf()
        .rust_protobuf_customize(
            ttrpc_codegen::ProtobufCustomize::default()
                .gen_mod_rs(false)
                .tokio_bytes(true),
        )
        .customize(ttrpc_codegen::Customize {
            async_all: true,
            ..Default::default()
        })
        .run()?;
    std::fs::write(
        ttrpc.join("mod.rs"),
        "pub mod bench;\npub mod bench_ttrpc;\n",
    )?;
    Ok(())
}
