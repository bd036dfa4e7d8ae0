//! Photographs: JPEG and PNG files decoded to 8-bit pixels.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use vta_runtime::resize::Image;

use crate::{Error, Result};

/// Longest side of an image that is read.
const MAX_SIDE: u32 = 1 << 14;
/// Most memory that decoding may take.
const MAX_BYTES: u64 = 1 << 30;

/// The pixels of a JPEG or PNG file, turned as its metadata say: one channel if it is grey,
/// else three; transparency is left out.
pub fn parse_image(file: &[u8]) -> Result<Image> {
    let image = decode(file).map_err(|error| {
        Error::input(format!("no image: {error}")).help("give a JPEG or PNG file")
    })?;
    let grey = !image.color().has_color();
    let (height, width) = (image.height() as usize, image.width() as usize);
    let (channels, pixels) = match grey {
        true => (1, image.into_luma8().into_raw()),
        false => (3, image.into_rgb8().into_raw()),
    };
    Ok(Image::new(height, width, channels, pixels)?)
}

fn decode(file: &[u8]) -> image::ImageResult<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format()?;
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}
