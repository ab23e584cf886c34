// Made by protocol/generate.py from the catalog. Do not edit.

//! The typed part of the C library: pierre-db-calls.h.

use crate::sys::{Answer, Count, Done, Error, Pierre, Transaction};
use std::os::raw::{c_char, c_int, c_void};

#[derive(Clone, Copy)]
#[repr(C)]
pub struct Size {
    pub width: f64,
    pub unit: *const c_char,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct Thing {
    pub id: *const c_char,
    pub colour: *const c_char,
    pub size: *const Size,
    pub whole: *const c_char,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct Token {
    pub access_token: *const c_char,
    pub refresh_token: *const c_char,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct Account {
    pub id: i64,
    pub password_hash: *const c_char,
}

#[derive(Clone, Copy)]
#[repr(C)]
pub struct NewThing {
    pub id: *const c_char,
    pub label: *const c_char,
    pub has_number: bool,
    pub number: u16,
    pub colour: *const c_char,
    pub tags: *const *const c_char,
    pub tags_count: usize,
    pub owner: *const c_char,
    pub has_made_at: bool,
    pub made_at: i64,
}

extern "C" {
    pub fn pierre_thing_free(block: *mut c_void);
    pub fn pierre_token_free(block: *mut c_void);
    pub fn pierre_account_free(block: *mut c_void);
    pub fn pierre_create_thing_async(
        db: *mut Pierre,
        thing: *const NewThing,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_create_thing_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_create_thing(
        transaction: *mut Transaction,
        thing: *const NewThing,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_thing_async(
        db: *mut Pierre,
        id: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_thing_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_thing(
        transaction: *mut Transaction,
        id: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_list_things_async(
        db: *mut Pierre,
        colour: *const c_char,
        limit: *const u32,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_list_things_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        count: *mut usize,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_list_things(
        transaction: *mut Transaction,
        colour: *const c_char,
        limit: *const u32,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_put_document_async(
        db: *mut Pierre,
        id: *const c_char,
        data: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_put_document_result(answer: *const Answer, failure: *mut Error) -> c_int;
    pub fn pierre_add_put_document(
        transaction: *mut Transaction,
        id: *const c_char,
        data: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_sweep_async(
        db: *mut Pierre,
        days: u32,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_sweep_result(answer: *const Answer, out: *mut i64, failure: *mut Error) -> c_int;
    pub fn pierre_add_sweep(transaction: *mut Transaction, days: u32, failure: *mut Error) -> c_int;
    pub fn pierre_put_token_async(
        db: *mut Pierre,
        user_id: *const c_char,
        access_token: *const c_char,
        refresh_token: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_put_token_result(answer: *const Answer, failure: *mut Error) -> c_int;
    pub fn pierre_add_put_token(
        transaction: *mut Transaction,
        user_id: *const c_char,
        access_token: *const c_char,
        refresh_token: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_get_token_async(
        db: *mut Pierre,
        user_id: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_get_token_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_get_token(
        transaction: *mut Transaction,
        user_id: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_create_account_async(
        db: *mut Pierre,
        password_hash: *const c_char,
        password: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_create_account_result(
        answer: *const Answer,
        out: *mut i64,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_create_account(
        transaction: *mut Transaction,
        password_hash: *const c_char,
        password: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_verify_account_async(
        db: *mut Pierre,
        id: i64,
        password: *const c_char,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_verify_account_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_add_verify_account(
        transaction: *mut Transaction,
        id: i64,
        password: *const c_char,
        failure: *mut Error,
    ) -> c_int;
    pub fn pierre_self_report_async(
        db: *mut Pierre,
        done: Done,
        userdata: *mut c_void,
        failure: *mut Error,
    ) -> i64;
    pub fn pierre_self_report_result(
        answer: *const Answer,
        out: *mut *mut c_void,
        failure: *mut Error,
    ) -> c_int;
}

/// The layout of every struct, in the words of tests/golden/abi.txt.
#[cfg(test)]
pub fn layouts(all: &mut Vec<String>) {
    crate::layout!(all, Size, "pierre_size", width, unit);
    crate::layout!(all, Thing, "pierre_thing", id, colour, size, whole);
    crate::layout!(all, Token, "pierre_token", access_token, refresh_token);
    crate::layout!(all, Account, "pierre_account", id, password_hash);
    crate::layout!(
        all,
        NewThing,
        "pierre_new_thing",
        id,
        label,
        has_number,
        number,
        colour,
        tags,
        tags_count,
        owner,
        has_made_at,
        made_at,
    );
}
