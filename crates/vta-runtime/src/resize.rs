//! Images: resizing with antialiasing, and cropping.
//!
//! The filter is the triangle of bilinear interpolation, as wide as the reduction asks (so that
//! every source pixel counts), in two passes, rows first, each rounded to 8 bits. Weights are
//! fixed-point integers: the result is the same on every machine. This is what the common Python
//! imaging library computes, so that accuracy measured with it carries over.

/// Pixels of 8 bits, row by row, channels side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    height: usize,
    width: usize,
    channels: usize,
    pixels: Vec<u8>,
}

/// Largest image that scaling makes.
const MAX_BYTES: u64 = 1 << 28;

/// Why there is no such image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Dimensions and number of bytes do not go together.
    #[error("an image of {height} x {width} x {channels} cannot have {bytes} bytes")]
    Size {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Channels.
        channels: usize,
        /// Bytes given.
        bytes: usize,
    },
    /// One side is so much longer than the other that scaling the short one makes the image huge.
    #[error(
        "scaled to a short side of {short_side}, the image would have more than {MAX_BYTES} bytes; crop it first"
    )]
    Elongated {
        /// The short side asked for.
        short_side: u32,
    },
    /// No conversion between these numbers of channels.
    #[error("an image of {given} channels cannot serve an input of {wanted}; convert it first")]
    Channels {
        /// Channels of the image.
        given: usize,
        /// Channels of the input.
        wanted: usize,
    },
}

impl Image {
    /// An image of `height * width * channels` bytes, none of them 0.
    pub fn new(
        height: usize,
        width: usize,
        channels: usize,
        pixels: Vec<u8>,
    ) -> Result<Image, ImageError> {
        let len = height
            .checked_mul(width)
            .and_then(|n| n.checked_mul(channels));
        if len != Some(pixels.len()) || pixels.is_empty() {
            let bytes = pixels.len();
            return Err(ImageError::Size {
                height,
                width,
                channels,
                bytes,
            });
        }
        Ok(Image {
            height,
            width,
            channels,
            pixels,
        })
    }

    /// Height, width, channels.
    pub fn shape(&self) -> [usize; 3] {
        [self.height, self.width, self.channels]
    }

    /// The pixels: row by row, channels side by side.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The pixels, by value.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// The image with `wanted` channels: grey repeated, or colour to grey by ITU-R 601 luma.
    pub fn with_channels(&self, wanted: usize) -> Result<Image, ImageError> {
        let pixels = match (self.channels, wanted) {
            (a, b) if a == b => self.pixels.clone(),
            (1, 3) => self.pixels.iter().flat_map(|&p| [p; 3]).collect(),
            (3, 1) => self.pixels.chunks_exact(3).map(luma).collect(),
            (given, wanted) => return Err(ImageError::Channels { given, wanted }),
        };
        Ok(Image {
            channels: wanted,
            pixels,
            ..*self
        })
    }

    /// The image scaled to `height` by `width`.
    pub fn resized(&self, height: usize, width: usize) -> Image {
        let mut image = self.clone();
        if width != self.width {
            image.pixels = scale_rows(&image.pixels, image.width, self.channels, width);
            image.width = width;
        }
        if height != self.height {
            image.pixels = scale_columns(&image.pixels, image.height, height);
            image.height = height;
        }
        image
    }

    /// `height` by `width` pixels from the middle.
    ///
    /// # Panics
    /// If the image is smaller.
    pub fn center_crop(&self, height: usize, width: usize) -> Image {
        let (top, left) = (middle(self.height - height), middle(self.width - width));
        let row_bytes = self.width * self.channels;
        let rows = self.pixels.chunks_exact(row_bytes).skip(top).take(height);
        let columns = left * self.channels..(left + width) * self.channels;
        let pixels = rows
            .flat_map(|row| &row[columns.clone()])
            .copied()
            .collect();
        Image {
            height,
            width,
            channels: self.channels,
            pixels,
        }
    }
}

/// The short side scaled to `short_side`, the other in proportion (rounded down), then the middle
/// `crop` (height, width), which is not larger than `short_side`.
pub fn shrink_and_crop(
    image: &Image,
    short_side: u32,
    crop: [u32; 2],
) -> Result<Image, ImageError> {
    let short = image.height.min(image.width) as u64;
    let side = |n: usize| n as u64 * u64::from(short_side) / short;
    let (height, width) = (side(image.height), side(image.width));
    let bytes = height
        .saturating_mul(width)
        .saturating_mul(image.channels as u64);
    if bytes > MAX_BYTES {
        return Err(ImageError::Elongated { short_side });
    }
    let scaled = image.resized(height as usize, width as usize);
    Ok(scaled.center_crop(crop[0] as usize, crop[1] as usize))
}

/// Half of `excess`, halves to even.
fn middle(excess: usize) -> usize {
    let half = excess / 2;
    half + (excess % 2) * (half % 2)
}

fn luma(rgb: &[u8]) -> u8 {
    let [r, g, b] = [rgb[0], rgb[1], rgb[2]].map(u32::from);
    // 0.299, 0.587, 0.114 in units of 2^-16.
    ((r * 19595 + g * 38470 + b * 7471 + (1 << 15)) >> 16) as u8
}

/// Fraction bits of a weight: 8 bits for a pixel and 2 to spare in 32.
const PRECISION: u32 = 22;

/// The source pixels that make up one target pixel, and their weights.
struct Tap {
    first: usize,
    weights: Vec<i32>,
}

/// For each of `to` pixels, its share of `from` pixels.
fn taps(from: usize, to: usize) -> Vec<Tap> {
    let scale = from as f64 / to as f64;
    let reach = scale.max(1.0);
    let tap = |i: usize| {
        let center = (i as f64 + 0.5) * scale;
        let first = (center - reach + 0.5).max(0.0) as usize;
        let end = ((center + reach + 0.5) as usize).min(from);
        let triangle = |j: usize| (1.0 - ((j as f64 + 0.5 - center) / reach).abs()).max(0.0);
        let sum: f64 = (first..end).map(triangle).sum();
        let fixed = |j: usize| (triangle(j) / sum * f64::from(1 << PRECISION)).round() as i32;
        Tap {
            first,
            weights: (first..end).map(fixed).collect(),
        }
    };
    (0..to).map(tap).collect()
}

fn rounded(sum: i32) -> u8 {
    ((sum + (1 << (PRECISION - 1))) >> PRECISION).clamp(0, 255) as u8
}

fn scale_rows(pixels: &[u8], from: usize, channels: usize, to: usize) -> Vec<u8> {
    let taps = taps(from, to);
    let mut out = Vec::with_capacity(pixels.len() / from * to);
    for row in pixels.chunks_exact(from * channels) {
        for Tap { first, weights } in &taps {
            for c in 0..channels {
                let source = row[first * channels + c..].iter().step_by(channels);
                out.push(rounded(
                    weights
                        .iter()
                        .zip(source)
                        .map(|(w, &p)| w * i32::from(p))
                        .sum(),
                ));
            }
        }
    }
    out
}

fn scale_columns(pixels: &[u8], from: usize, to: usize) -> Vec<u8> {
    let row_bytes = pixels.len() / from;
    let mut out = Vec::with_capacity(row_bytes * to);
    let mut sums = vec![0i32; row_bytes];
    for Tap { first, weights } in taps(from, to) {
        sums.fill(0);
        for (w, row) in weights
            .iter()
            .zip(pixels[first * row_bytes..].chunks_exact(row_bytes))
        {
            sums.iter_mut()
                .zip(row)
                .for_each(|(s, &p)| *s += w * i32::from(p));
        }
        out.extend(sums.iter().map(|&s| rounded(s)));
    }
    out
}
