//! Finds libpierre-db: in `$PIERRE_DB_LIB_DIR`, in `../../build` of the source tree, or by pkg-config.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder with the library: that of the environment, or of the tree's build.
fn folder() -> Option<PathBuf> {
    println!("cargo:rerun-if-env-changed=PIERRE_DB_LIB_DIR");
    if let Some(given) = env::var_os("PIERRE_DB_LIB_DIR") {
        let folder = PathBuf::from(given);
        return Some(folder.canonicalize().unwrap_or_else(|error| {
            panic!("PIERRE_DB_LIB_DIR is {}, which is not a folder: {}", folder.display(), error)
        }));
    }
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let built = manifest.join("../../build/client");
    if !built.join("libpierre-db.so").exists() {
        return None;
    }
    println!("cargo:rerun-if-changed={}", built.join("libpierre-db.so").display());
    Some(built.canonicalize().unwrap_or(built))
}

/// What pkg-config prints. None when the library is not installed.
fn pkg_config(option: &str) -> Option<String> {
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let done = Command::new(program)
        .args([option, &format!("pierre-db >= {}", env!("CARGO_PKG_VERSION"))])
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&done.stdout).into_owned()).filter(|_| done.status.success())
}

/// The folders that pkg-config names. It leaves out those that every linker searches, where rustc
/// looks for no static library.
fn installed(is_static: bool) -> Option<Vec<String>> {
    let text = pkg_config("--libs-only-L")?;
    let named = text.split_whitespace().filter_map(|word| word.strip_prefix("-L"));
    let mut folders: Vec<String> = named.map(String::from).collect();
    if is_static {
        folders.push(pkg_config("--variable=libdir")?.trim().to_string());
    }
    Some(folders)
}

/// Links to the library's files in cargo's own folder, which cargo puts into `LD_LIBRARY_PATH`: also
/// a program of another package finds the library under `cargo run` and `cargo test`.
fn link_to(folder: &Path) -> io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name();
        let is_file = entry.path().is_file();
        if is_file && name.to_string_lossy().starts_with("libpierre-db.so") {
            let link = out.join(name);
            let _ = fs::remove_file(&link); // of a build with another folder
            symlink(entry.path().canonicalize()?, link)?;
        }
    }
    println!("cargo:rustc-link-search=native={}", out.display());
    Ok(())
}

/// Programs find a library that is not installed, and those of this package also its daemon.
fn uninstalled(folder: &Path) {
    if let Err(error) = link_to(folder) {
        println!("cargo:warning={}: {}", folder.display(), error);
    }
    println!("cargo:rustc-link-search=native={}", folder.display());
    println!("cargo:rustc-link-arg=-Wl,--enable-new-dtags,-rpath,{}", folder.display());
    let daemon = folder.join("../daemon/pierre-dbd");
    if daemon.exists() {
        println!("cargo:rustc-env=PIERRE_DB_DAEMON={}", daemon.display());
    }
}

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    // The documentation is built where no library is.
    if env::var_os("DOCS_RS").is_some() {
        return;
    }
    let is_static = env::var_os("CARGO_FEATURE_STATIC").is_some();
    if let Some(folder) = folder() {
        uninstalled(&folder);
    } else if let Some(folders) = installed(is_static) {
        for folder in folders {
            println!("cargo:rustc-link-search=native={}", folder);
        }
    } else {
        panic!(
            "libpierre-db is missing: build it (scripts/build), install it with its pkg-config \
             file, or set PIERRE_DB_LIB_DIR to its folder"
        );
    }
    println!("cargo:rustc-link-lib={}=pierre-db", if is_static { "static" } else { "dylib" });
}
